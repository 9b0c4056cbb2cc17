import json
from pathlib import Path

import pytest

from components.llm_evaluator.page.wording import STAND_IN_NOTICE
from pipeline.files import read_text
from pipeline.rounds import LoopResult
from pipeline.summary import make_summary


def read(uri, name):
    return json.loads((Path(uri) / name).read_text())


def test_rates_and_gate_are_those_of_the_reports(summary, two_rounds):
    for entry, result in zip(summary["rounds"], two_rounds.results, strict=True):
        report = read(result.report_uri, "coverage_report.json")
        assert entry["rates"] == report["models"]
        assert entry["gate"]["reasons"] == report["gate"]["reasons"]
        assert entry["gate"]["rate"] == report["models"]["tuned"]["holdout"]
        assert set(entry["rates"]) == {"tuned", "base", "few_shot", "service"}
    assert [entry["blessed"] for entry in summary["rounds"]] == [False, True]
    assert summary["best_round"] == 2
    assert summary["stop_reason"] == "threshold_met"


def test_the_gates_rate_is_the_scorers_where_a_scorer_decides(config, artifacts_of, verdicts):
    artifacts = artifacts_of("scored", scorer="exact_match")
    artifacts.add_round(verdicts(0.9))
    report = read(artifacts.results[0].report_uri, "coverage_report.json")
    (entry,) = make_summary(config, artifacts.loop(), artifacts.runs)["rounds"]
    assert entry["gate"]["rate"] == report["scorers"]["exact_match"]["models"]["tuned"]["holdout"]
    # The unscored response equals the desired output, so this scorer counts one more.
    judged = entry["rates"]["tuned"]["holdout"]["covered"]
    assert entry["gate"]["rate"]["covered"] == judged + 1


def test_data_and_training_are_what_the_components_recorded(summary):
    last = summary["rounds"][1]
    assert last["data"]["requested"] == 700
    assert last["data"]["dropped"]["duplicate"] == 101
    assert last["data"]["total_rows"] == 1024
    training = last["training"]
    assert (training["steps"], training["epochs"], training["final_loss"]) == (174, 3, 0.2134)
    assert training["tokens_per_second"] == 1402.3
    assert training["rows_too_long"] == 2
    assert [entry["training"]["started_from"] for entry in summary["rounds"]] == [None, 1]


def test_usage_is_added_over_components_and_rounds(summary):
    first = summary["rounds"][0]["usage"]
    assert first["SynthDataGen"]["calls"] == 1300
    assert first["LLMEvaluator"]["calls"] == 400
    assert first["total"] == {
        "calls": 1700,
        "prompt_tokens": 1700 * 900,
        "output_tokens": 1700 * 70,
        "cost_usd": 0.025,
    }
    assert summary["usage"]["calls"] == 3400
    assert summary["usage"]["cost_usd"] == 0.05


def test_an_unknown_price_makes_the_total_unknown(config, artifacts, verdicts):
    artifacts.add_round(verdicts(0.5), cost=0.01)
    artifacts.add_round(verdicts(0.5), cost=None)
    found = make_summary(config, artifacts.loop(), artifacts.runs)
    assert found["rounds"][0]["usage"]["total"]["cost_usd"] == 0.02
    assert found["usage"]["cost_usd"] is None


def test_seconds_are_those_of_the_runs(summary, two_rounds):
    for entry in summary["rounds"]:
        nodes = two_rounds.runs[entry["round"]].nodes
        assert {c["node"]: c["seconds"] for c in entry["components"]} == {
            name: node.seconds for name, node in nodes.items()
        }
        assert entry["seconds"] == pytest.approx(sum(n.seconds for n in nodes.values()), abs=0.1)
    assert [c["node"] for c in summary["rounds"][1]["components"] if c["cached"]] == [
        "CoverageExampleGen"
    ]
    assert summary["seconds"] == pytest.approx(sum(e["seconds"] for e in summary["rounds"]))


def test_a_loop_that_goes_on_has_no_stop_reason_and_may_lack_runs(config, two_rounds):
    loop = LoopResult(tuple(two_rounds.results[:1]), None)
    found = make_summary(config, loop, {})
    assert found["stop_reason"] is None
    assert found["rounds"][0]["components"] == []
    assert found["rounds"][0]["seconds"] == 0


def test_only_a_blessed_round_has_a_push(summary):
    first, second = summary["rounds"]
    assert first["pushed"] is None
    assert second["pushed"]["tag"] == "round-2-0123abcd"
    assert second["artifacts"]["pushed"].endswith("pushed/2")


def test_the_stand_in_is_said(config, artifacts_of, verdicts, summary):
    assert summary["stand_in"]
    assert summary["stand_in_notice"] == STAND_IN_NOTICE
    real = artifacts_of("real", stand_in=False)
    real.add_round(verdicts(0.9))
    found = make_summary(config, real.loop(), real.runs)
    assert (found["stand_in"], found["stand_in_notice"]) == (False, None)


def test_the_summary_is_json_and_names_versions_and_configuration(config, summary):
    assert json.loads(json.dumps(summary)) == summary
    assert summary["config"]["task"]["name"] == config.task.name == summary["task"]
    assert set(summary["versions"]) == {"python", "tfx", "tensorflow", "keras", "keras_hub"}
    assert summary["versions"]["keras"]


def test_a_file_is_read_by_uri_with_and_without_scheme(tmp_path):
    (tmp_path / "a.json").write_text('"\u00e9"', encoding="utf-8")
    assert read_text(str(tmp_path / "a.json")) == '"\u00e9"'
    assert read_text((tmp_path / "a.json").as_uri()) == '"\u00e9"'


def test_training_facts_lie_where_tfx_puts_a_served_model():
    from tfx.utils import path_utils

    from pipeline import summary

    folder = path_utils.serving_model_dir("model")
    assert f"{folder}/training.json" == f"model/{summary._TRAINING_FILE}"
