import contextlib
import json
from pathlib import Path

import pytest
from tfx.dsl.compiler import compiler
from tfx.orchestration import pipeline
from tfx.types import channel_utils, standard_artifacts

from components import asking
from components.artifacts import CoverageReport, Responses
from components.llm_evaluator import executor
from components.llm_evaluator.component import LLMEvaluator
from core.errors import UserError
from core.records import VerdictRow
from core.reports.operation import BatchSeconds, GenerationTimes
from core.usage import Usage
from judging.labels import write_labels
from judging.requests import JudgedResponse
from judging.settings import EvaluatorSettings
from service_llm.settings import ServiceLLMSettings
from task.task import Task
from tests.html_page import embedded_rows


@pytest.fixture
def opened(service, monkeypatch):
    """Puts a service that sends nothing in the client's place; returns how it was opened."""
    calls = []

    @contextlib.contextmanager
    def open_service_llm(settings, *, journal_uri, component, round):
        llm = service()
        llm.salt = lambda: b"salt"
        llm.usage = lambda: Usage(len(llm.requests), 10, 5, None)
        calls.append((settings.model, journal_uri, component, round, llm))
        yield llm

    monkeypatch.setattr(asking, "open_service_llm", open_service_llm)
    return calls


@pytest.fixture
def responses(tmp_path, response_row):
    def make(name, right):
        artifact = Responses()
        artifact.uri = str(tmp_path / name)
        rows = [
            response_row(str(n), "Paris\u2028" if n >= right else "Paris", tags=("short",))
            for n in range(10)
        ]
        Path(artifact.uri).mkdir()
        lines = "".join(f"{row.to_json()}\n" for row in rows)
        Path(artifact.uri, "responses.jsonl").write_bytes(lines.encode())
        return artifact

    return make


@pytest.fixture
def run(tmp_path, opened):
    def run(inputs, name="round1", model="judge-1", settings=None, **properties):
        report, blessing = CoverageReport(), standard_artifacts.ModelBlessing()
        report.uri = str(tmp_path / name / "report")
        blessing.uri = str(tmp_path / name / "blessing")
        executor.Executor().Do(
            {key: [artifact] for key, artifact in inputs.items()},
            {"report": [report], "blessing": [blessing]},
            {
                "service_llm": ServiceLLMSettings(
                    provider="gemini", model=model, api_key_env="A_KEY"
                ).model_dump_json(),
                "settings": EvaluatorSettings(**(settings or {})).model_dump_json(),
                "task": Task(name="capitals", instruction="Answer.").model_dump_json(),
                "journal_uri": str(tmp_path / "journal"),
                "round": 1,
                "report_uri": "",
                "code_version": "",
            }
            | properties,
        )
        return report, blessing

    return run


def _report(artifact):
    return json.loads(Path(artifact.uri, "coverage_report.json").read_text(encoding="utf-8"))


def test_a_model_that_passes_the_gate_is_blessed(run, responses):
    report, blessing = run({"responses": responses("tuned", 9)})
    assert report.coverage_rate == 90.0
    assert report.round == 1
    assert blessing.get_int_custom_property("blessed") == 1
    assert [p.name for p in Path(blessing.uri).iterdir()] == ["BLESSED"]
    assert "reaches 80 %" in blessing.get_string_custom_property("reasons")


def test_a_model_that_fails_the_gate_is_not_blessed_and_the_reason_is_kept(run, responses):
    report, blessing = run({"responses": responses("tuned", 7)})
    assert report.coverage_rate == 70.0
    assert blessing.get_int_custom_property("blessed") == 0
    assert [p.name for p in Path(blessing.uri).iterdir()] == ["NOT_BLESSED"]
    assert "is below 80 %" in blessing.get_string_custom_property("reasons")


def test_the_report_holds_rates_gate_judge_and_usage(run, responses, opened):
    inputs = {
        "responses": responses("tuned", 9),
        "base_responses": responses("base", 1),
        "few_shot_responses": responses("few", 4),
    }
    report, _ = run(inputs, model="stand-in-1")
    content = _report(report)
    rates = {m: r["overall"]["rate_percent"] for m, r in content["models"].items()}
    assert rates == {"tuned": 90.0, "base": 10.0, "few_shot": 40.0, "service": 100.0}
    assert content["stand_in"] is True
    assert content["usage"] == {
        "calls": len(opened[0][-1].requests),
        "prompt_tokens": 10,
        "output_tokens": 5,
        "cost_usd": None,
        "unknown_calls": 0,
        "model_versions": [],
    }
    assert content["judge"]["model"] == "stand-in-1"
    assert content["round"] == 1


def test_the_service_llm_is_opened_for_this_component_and_round(run, responses, opened, tmp_path):
    run({"responses": responses("tuned", 9)}, round=3)
    assert opened[0][:4] == ("judge-1", str(tmp_path / "journal"), "LLMEvaluator", 3)


def test_the_page_lies_beside_the_report_and_needs_nothing_else(run, responses):
    report, _ = run({"responses": responses("tuned", 9), "base_responses": responses("b", 1)})
    page = Path(report.uri, "evaluation.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "task <b>capitals</b>" in page
    assert len(embedded_rows(page)) == 10
    assert "reaches the threshold of 80" in page


def test_every_response_has_its_line_in_the_verdicts(run, responses):
    report, _ = run({"responses": responses("tuned", 9), "base_responses": responses("b", 1)})
    text = Path(report.uri, "verdicts.jsonl").read_bytes().decode()
    rows = [VerdictRow.from_json(line) for line in text.split("\n") if line]
    assert [(row.model, row.id) for row in rows] == [
        (model, str(n)) for model in ("tuned", "base", "service") for n in range(10)
    ]


def test_baselines_that_are_not_wanted_are_not_judged(run, responses):
    inputs = {"responses": responses("tuned", 9), "base_responses": responses("base", 1)}
    report, _ = run(inputs, settings={"baselines": []})
    assert list(_report(report)["models"]) == ["tuned"]


def test_the_round_before_is_compared_with(run, responses):
    first, _ = run({"responses": responses("one", 2)})
    second, _ = run({"responses": responses("two", 9)}, "round2", round=2, report_uri=first.uri)
    change = _report(second)["change"]
    assert (change["previous_round"], change["holdout"]["gained"]) == (1, 7)
    assert change["same_judge"] is True


def test_human_labels_are_read_from_their_file(run, responses, tmp_path):
    judged = JudgedResponse("Capital of 1?", "Paris", "Paris")
    path = tmp_path / "labels.csv"
    path.write_text(write_labels([judged]).replace(",\r\n", ",yes\r\n"), encoding="utf-8")
    report, _ = run({"responses": responses("tuned", 9)}, settings={"labels_uri": str(path)})
    assert _report(report)["calibration"]["agreement"]["both"] == 1


@pytest.mark.parametrize(
    ("settings", "properties", "missing"),
    [
        ({"labels_uri": "/nowhere/labels.csv"}, {}, "/nowhere/labels.csv"),
        ({}, {"report_uri": "/nowhere"}, "/nowhere/coverage_report.json"),
    ],
    ids=["labels", "report"],
)
def test_a_missing_file_is_named_before_anything_is_spent(
    run, responses, opened, settings, properties, missing
):
    with pytest.raises(UserError, match=missing):
        run({"responses": responses("tuned", 9)}, settings=settings, **properties)
    assert opened == []


def test_a_pipeline_with_all_its_inputs_compiles():
    channel = channel_utils.as_channel([Responses()])
    node = LLMEvaluator(
        responses=channel,
        base_responses=channel,
        few_shot_responses=channel,
        service_llm="{}",
        settings="{}",
        task="{}",
        journal_uri="/tmp/journal",
        round=1,
    )
    compiled = compiler.Compiler().compile(
        pipeline.Pipeline(pipeline_name="p", pipeline_root="/tmp/p", components=[node])
    )
    (compiled_node,) = compiled.nodes
    outputs = compiled_node.pipeline_node.outputs.outputs
    types = {key: spec.artifact_spec.type.name for key, spec in outputs.items()}
    assert types == {"report": "components.CoverageReport", "blessing": "ModelBlessing"}


def test_a_judge_of_its_own_judges_and_the_service_answers(run, responses, opened):
    judge = ServiceLLMSettings(provider="openai", model="stand-in-judge", api_key_env="A_KEY")
    report, _ = run({"responses": responses("tuned", 9)}, judge_llm=judge.model_dump_json())
    asked = {
        (model, component): {request.schema.__name__ for request in llm.requests}
        for model, _, component, _, llm in opened
    }
    assert asked == {
        ("judge-1", "LLMEvaluator"): {"Answer"},
        ("stand-in-judge", "LLMEvaluator, judge"): {"Verdict"},
    }
    found = _report(report)
    assert (found["judge"]["provider"], found["judge"]["model"]) == ("openai", "stand-in-judge")
    assert found["usage"]["calls"] == sum(len(llm.requests) for *_, llm in opened)
    assert found["stand_in"]


def test_the_report_holds_what_the_answers_of_both_took(run, responses):
    artifact = responses("tuned", 9)
    times = GenerationTimes(
        batch_size=2, batches=(BatchSeconds(responses=2, seconds=0.5),) * 4, left_out=2
    )
    Path(artifact.uri, "generation_times.json").write_text(times.to_json(), encoding="utf-8")
    report, _ = run({"responses": artifact})
    own = _report(report)["own_answers"]
    assert (own["responses"], own["left_out"], own["per_second"]) == (8, 2, 4.0)
    assert own["latency"] == {"p50_seconds": 0.5, "p95_seconds": 0.5}
    without, _ = run({"responses": responses("untimed", 9)}, name="round2")
    assert _report(without)["own_answers"] is None
