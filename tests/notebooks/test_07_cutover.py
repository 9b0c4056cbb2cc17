"""The notebook about the cut-over, executed against the stand-in."""

import json

import pytest

from tests.notebooks.conftest import errors_in, plots_in

pytestmark = pytest.mark.slow


@pytest.mark.unpublished  # what llama.cpp serves is looked for on each model server
def test_a_verdict_is_given_and_the_walk_goes_back(executed, tmp_path):
    notebook, found = executed(
        "07_cutover",
        {
            "state": "verdict.overall.state",
            "pairs": "verdict.overall.pairs",
            "status": "walk.report.status",
            "percents": "[event.percent for event in walk.report.events]",
            "mode": "mode['mode']",
            "after": "after",
        },
    )
    assert not errors_in(notebook)
    assert len(plots_in(notebook)) == 1
    assert (found["state"], found["pairs"]) == ("safe to switch", 450)
    assert (found["status"], found["percents"]) == ("back", [5, 25, 0])
    assert (found["mode"], set(found["after"])) == ("failover", {"service"})
    report = json.loads((tmp_path / "output" / "cutover.json").read_text())
    assert "back to the service: worse" in report["events"][-1]["text"]
