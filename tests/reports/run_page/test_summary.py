import json
from pathlib import Path

import pytest

from core.reports.coverage import CoverageReport
from core.reports.loop import LoopSummary
from core.reports.synthesis import SynthesisRecord
from core.storage import read_text
from core.usage import Usage
from pipeline.config import load_config
from pipeline.rounds import LoopResult
from pipeline.summary import make_summary
from tests.html_page import Page
from tests.reports.run_page.conftest import NODES


def report_of(result):
    return CoverageReport.read(str(Path(result.report_uri) / "coverage_report.json"))


def test_rates_and_gate_are_those_of_the_reports(summary, two_rounds):
    for entry, result in zip(summary.rounds, two_rounds.results, strict=True):
        report = report_of(result)
        assert entry.report == report
        assert entry.report.gate.rate == report.models["tuned"].holdout
        assert set(entry.report.models) == {"tuned", "base", "few_shot", "service"}
    assert [entry.blessed for entry in summary.rounds] == [False, True]
    assert summary.best_round == 2
    assert summary.stop_reason == "threshold_met"


def test_the_gates_rate_is_the_scorers_where_a_scorer_decides(config, artifacts_of, verdicts):
    artifacts = artifacts_of("scored", scorer="exact_match")
    artifacts.add_round(verdicts(0.9))
    report = report_of(artifacts.results[0])
    (entry,) = make_summary(config, artifacts.loop(), artifacts.runs).rounds
    assert entry.report.gate.rate == report.scorers["exact_match"].models["tuned"].holdout
    # The unscored response equals the reference, so this scorer counts one more.
    judged = entry.report.models["tuned"].holdout.covered
    assert entry.report.gate.rate.covered == judged + 1


def test_data_and_training_are_what_the_components_recorded(summary):
    last = summary.rounds[1]
    assert last.synthesis.requested == 700
    assert last.synthesis.dropped["duplicate"] == 101
    assert last.synthesis.total_rows == 1024
    training = last.training
    assert (training.steps, training.hparams.epochs, training.final_loss) == (174, 3, 0.2134)
    assert training.tokens_per_second == 1402.3
    assert training.rows_too_long == 2
    assert [entry.started_from for entry in summary.rounds] == [None, 1]


def test_usage_is_added_over_components_and_rounds(summary):
    first = summary.rounds[0]
    assert first.synthesis.usage.calls == 1300
    assert first.report.usage.calls == 400
    assert first.usage == Usage(1700, 1700 * 900, 1700 * 70, 0.025)
    assert summary.usage.calls == 3400
    assert summary.usage.cost_usd == 0.05


def test_an_unknown_price_makes_the_total_unknown(config, artifacts, verdicts):
    artifacts.add_round(verdicts(0.5), cost=0.01)
    artifacts.add_round(verdicts(0.5), cost=None)
    found = make_summary(config, artifacts.loop(), artifacts.runs)
    assert found.rounds[0].usage.cost_usd == 0.02
    assert found.usage.cost_usd is None


def test_seconds_are_those_of_the_runs(summary, two_rounds):
    for entry in summary.rounds:
        nodes = two_rounds.runs[entry.round].nodes
        assert {c.node: c.seconds for c in entry.components} == {
            name: node.seconds for name, node in nodes.items()
        }
        assert entry.seconds == pytest.approx(sum(n.seconds for n in nodes.values()), abs=0.1)
    assert [c.node for c in summary.rounds[1].components if c.cached] == ["CoverageExampleGen"]
    assert summary.seconds == pytest.approx(sum(e.seconds for e in summary.rounds))


def test_components_are_in_the_order_in_which_they_ran(summary, results):
    ran = [name for name, _ in NODES]
    written = json.loads((results / "summary.json").read_text(encoding="utf-8"))
    for entry in written["rounds"]:
        assert [component["node"] for component in entry["components"]] == ran
    page = Page((results / "report.html").read_text(encoding="utf-8"))
    assert [row[0] for row in page.rows if row and row[0] in ran and len(row) == 3] == ran


def test_a_loop_that_goes_on_has_no_stop_reason_and_may_lack_runs(config, two_rounds):
    loop = LoopResult(tuple(two_rounds.results[:1]), None)
    found = make_summary(config, loop, {})
    assert found.stop_reason is None
    assert found.rounds[0].components == ()
    assert found.rounds[0].seconds == 0


def test_an_embedding_model_is_warned_of_as_itself(artifacts, verdicts):
    artifacts.add_round(verdicts(0.97))
    uri = Path(artifacts.results[0].synthetic_uri) / "synthesis.json"
    embedded = Usage(3, 9, 0, 0.0, 3, ("text-embedding-3-large",))
    usage = Usage(5, 19, 9, 0.0, 3, ("gpt-5-mini", "text-embedding-3-large"))
    record = SynthesisRecord.read(str(uri))
    record = record.model_copy(update={"usage": usage, "embedding_usage": embedded})
    uri.write_text(record.to_json(), encoding="utf-8")
    overrides = [
        "service_llm={provider: openai, model: gpt-5-mini, api_key_env: KEY}",
        "embedder={provider: openai, model: text-embedding-3-small, api_key_env: KEY}",
    ]
    config = load_config("gemini", overrides, environ={})
    other, unknown = make_summary(config, artifacts.loop(), artifacts.runs).warnings
    assert other.startswith("text-embedding-3-small was asked for, and text-embedding-3-large")
    assert "text-embedding-3-small did not say how many tokens 3 of 3 calls took" in unknown


def test_only_a_blessed_round_has_a_push(summary):
    first, second = summary.rounds
    assert first.pushed is None
    assert second.pushed.tag == "round-2-0123abcd"
    assert second.artifacts.pushed.endswith("pushed/2")


def test_the_stand_in_is_said(config, artifacts_of, verdicts, summary):
    assert summary.stand_in
    real = artifacts_of("real", stand_in=False)
    real.add_round(verdicts(0.9))
    found = make_summary(config, real.loop(), real.runs)
    assert not found.stand_in


def test_the_summary_is_json_and_names_versions_and_configuration(config, summary):
    assert LoopSummary.from_json(summary.to_json(), "summary.json") == summary
    assert summary.config["task"]["name"] == config.task.name == summary.task
    assert set(summary.versions) == {"python", "tfx", "tensorflow", "keras", "keras_hub"}
    assert summary.versions["keras"]


def test_a_file_is_read_by_uri_with_and_without_scheme(tmp_path):
    (tmp_path / "a.json").write_text('"\u00e9"', encoding="utf-8")
    assert read_text(str(tmp_path / "a.json")) == '"\u00e9"'
    assert read_text((tmp_path / "a.json").as_uri()) == '"\u00e9"'
