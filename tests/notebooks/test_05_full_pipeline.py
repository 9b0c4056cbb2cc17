"""The notebook about the whole pipeline, executed with the tiny model."""

import json

import pytest

from tests.notebooks.conftest import errors_in, plots_in

pytestmark = pytest.mark.slow


def test_two_rounds_a_push_and_its_lineage(executed, tmp_path):
    notebook, found = executed(
        "05_full_pipeline",
        {
            "rounds": "[entry.synthesis.total_rows for entry in summary.rounds]",
            "stop": "loop.stop_reason.value",
            "blessed": "[result.blessed for result in loop.rounds] + [pushed.blessed]",
            "cached": "sorted(node.node_id for node in run.nodes.values() if not node.cached)",
            "record": "record",
            "lineage": "sorted(executions.values(), key=lambda e: (run_ids.index(e[1]), e[0]))",
            "steps": "[[executions[a][0], executions[b][0]] for a, b in steps]",
            "runs": "run_ids",
            "seeds": "sorted(seeds)",
            "shown": "sorted(shown)",
            "rows": "sorted({row['round'] for row in made})",
            "prompts": "[file.read_text(encoding='utf-8') for file in prompt_files]",
            "card": "card",
        },
        PRESET="smoke",
        ROUNDS=2,
        ROWS=24,
    )
    assert not errors_in(notebook)
    assert len(plots_in(notebook)) == 2
    assert found["rounds"] == [24, 48]
    assert found["stop"] == "max_rounds"
    assert found["blessed"] == [False, False, True]
    assert found["cached"] == ["Exporter", "HFPusher", "LLMEvaluator"], (
        "the rest came from the cache"
    )
    assert found["record"]["local"] is True
    assert set(found["record"]["repositories"]) == {"model", "dataset", "space"}
    assert "# Support triage" in found["card"]

    of_run = {run: {n for n, r in found["lineage"] if r == run} for run in found["runs"]}
    first, second, push = (of_run[run] for run in found["runs"])
    assert {"CoverageExampleGen", "SynthDataGen", "Trainer", "LLMEvaluator"} <= first
    assert {"SynthDataGen", "Transform", "Trainer", "ResponseGen"} <= second
    assert push == {"LLMEvaluator", "Exporter", "HFPusher"}
    assert ["SynthDataGen", "SynthDataGen"] in found["steps"], "the rows of the round before"
    assert ["LLMEvaluator", "SynthDataGen"] in found["steps"], "the report that was aimed with"
    assert found["rows"] == [1, 2]
    assert set(found["shown"]) <= set(found["seeds"])
    assert len(found["shown"]) > 30
    assert any("Write messages as users of the task" in text for text in found["prompts"])
    summary = json.loads((tmp_path / "output/summary.json").read_text(encoding="utf-8"))
    assert len(summary["rounds"]) == 2
