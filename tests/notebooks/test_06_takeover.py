"""The notebook about the takeover, executed against the stand-in."""

import json

import pytest

from tests.notebooks.conftest import errors_in, plots_in

pytestmark = pytest.mark.slow


@pytest.mark.unpublished  # what llama.cpp serves is looked for on each model server
def test_an_outage_and_a_drill_lose_nothing(executed, tmp_path):
    notebook, found = executed(
        "06_takeover",
        {
            "lost": "report.lost",
            "cells": "[[c.fault, c.protocol, c.stream] for c in report.cells]",
            "answered": "[report.answered_by.service, report.answered_by.model]",
        },
        FAULTS=("F6",),
    )
    assert not errors_in(notebook)
    assert len(plots_in(notebook)) == 1
    assert found["lost"] == 0
    assert len(found["cells"]) == 4
    assert min(found["answered"]) > 0
    (outage,) = [
        output.data["text/markdown"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "the service is down" in output.get("data", {}).get("text/markdown", "")
    ]
    for line in outage.splitlines()[2:]:
        by = "model" if "the service is down" in line else "service"
        assert f" {by} |" in line or "it is back" in line, line
    report = json.loads((tmp_path / "output" / "drill.json").read_text())
    assert report["lost"] == 0
