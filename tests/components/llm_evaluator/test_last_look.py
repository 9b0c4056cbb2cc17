"""The test split: sealed while the loop goes on, judged once after it."""

import json
from pathlib import Path

import pytest

from tests.components.llm_evaluator import test_component as component
from tests.html_page import embedded_rows

opened, responses, run = component.opened, component.responses, component.run


@pytest.fixture
def with_test_split(responses):
    """Responses of which every row twice: in the holdout, and sealed, right one time fewer."""

    def make(right):
        artifact = responses("tuned", right)
        path = Path(artifact.uri, "responses.jsonl")
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
        sealed = [
            row | {"id": f"s{n}", "split": "test", "prompt": f"Sealed {n}?"}
            for n, row in enumerate(rows)
        ]
        sealed[0]["response"] = "Rome"
        lines = "".join(json.dumps(row) + "\n" for row in [*rows, *sealed])
        path.write_text(lines, encoding="utf-8")
        return artifact

    return make


def _report(artifact):
    return json.loads(Path(artifact.uri, "coverage_report.json").read_text(encoding="utf-8"))


def test_the_test_split_is_sealed_while_the_loop_goes_on(run, with_test_split, opened):
    report, _ = run({"responses": with_test_split(7)})
    found = _report(report)
    assert (found["sealed_prompts"], found["last_look"]) == (10, None)
    assert found["models"]["tuned"]["overall"]["total"] == 10
    assert not any("Sealed" in request.prompt for request in opened[-1][-1].requests)
    assert not Path(report.uri, "test_verdicts.jsonl").exists()
    assert "Sealed" not in Path(report.uri, "evaluation.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("right", "looks", "counted"),
    [
        pytest.param(9, 0, 2, id="a round that passes the gate ends the loop"),
        pytest.param(7, 5, 5, id="the kept round of a loop that has ended"),
    ],
)
def test_the_last_look_judges_the_test_split_once(run, with_test_split, right, looks, counted):
    report, _ = run({"responses": with_test_split(right)}, round=2, looks=looks)
    found = _report(report)
    look = found["last_look"]
    assert found["sealed_prompts"] == 0
    assert look["holdout_looks"] == counted
    assert (look["models"]["tuned"]["covered"], look["models"]["tuned"]["total"]) == (right - 1, 10)
    assert look["reached"] is (right == 9)
    assert found["models"]["tuned"]["holdout"]["covered"] == right, "the holdout is left alone"
    lines = Path(report.uri, "test_verdicts.jsonl").read_text("utf-8").strip("\n").split("\n")
    assert {json.loads(line)["split"] for line in lines} == {"test"}
    shown = embedded_rows(Path(report.uri, "evaluation.html").read_text(encoding="utf-8"))
    assert [row["split"] for row in shown].count("test") == 10
