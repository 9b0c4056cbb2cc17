"""Drills on a tiny tuned model: real clients, the real gateway, the stand-in as service."""

import asyncio
import json

import pytest

from core.errors import UserError
from service_llm.settings import ServiceLLMSettings
from serving.drill.faults import FAULTS, STREAM_ONLY
from serving.drill.options import DrillOptions
from serving.drill.record import DrillReport
from serving.drill.run import run_drill
from standin.application import serve
from tests.serving.conftest import preset_of

FAST = {
    "rate": 20.0,
    "requests_per_cell": 2,
    "sustain_seconds": 0.1,
    "with_cold_model": False,
}
SCHEMA = {"type": "object", "required": ["category"]}


@pytest.fixture(scope="module")
def service():
    with serve() as server:
        yield ServiceLLMSettings(provider="gemini", model="stand-in", base_url=server.url)


def served(folder, service, **changes):
    preset = preset_of(folder, first_byte_bounds={"min_seconds": 0.5}, between_bytes_seconds=0.5)
    settings = preset.settings.model_copy(update={"service": service})
    return preset.model_copy(update={"settings": settings, "output_schema": SCHEMA} | changes)


def test_an_outage_loses_nothing_and_the_drill_is_written_down(run_folder, service, capsys):
    options = DrillOptions(faults=("F13",), peak=1000.0, **FAST | {"with_cold_model": True})
    report = asyncio.run(run_drill(served(run_folder, service), options))
    assert (report.lost, report.half_answers, report.not_of_task) == (0, 0, 0)
    assert report.requests == report.answered_by.service + report.answered_by.model
    cells = [(cell.fault, cell.protocol, cell.stream) for cell in report.cells]
    assert cells == [("F13", "gemini", True), ("F13", "openai", True)]
    for cell in report.cells:
        assert cell.seconds_to_switch is not None, cell
        assert cell.seconds_to_return is not None, cell
    assert report.coverage.model.rate == 100
    written = (run_folder / "drill.json").read_text()
    assert DrillReport.model_validate_json(written) == report
    assert json.loads(written)["schema_version"] == 1
    page = (run_folder / "drill.html").read_text()
    assert "drill passed" in page
    assert "TOO FEW for the peak of 1000" in capsys.readouterr().out


def test_a_request_that_nobody_answers_is_lost_and_told(run_folder, service, capsys, monkeypatch):
    monkeypatch.setattr("serving.drill.cell._RETURN_SECONDS", 0.5)
    preset = served(run_folder, service)
    # Without its maker's name in it, the stand-in refuses every message as another task's.
    settings = preset.settings.model_copy(update={"match": "template", "template": "A {prompt} B"})
    report = asyncio.run(
        run_drill(
            preset.model_copy(update={"settings": settings}),
            DrillOptions(faults=("F12",), **FAST),
        )
    )
    assert report.lost > 0
    assert report.coverage.service is None
    assert "knows only the demonstration task" in capsys.readouterr().out
    assert "drill failed" in (run_folder / "drill.html").read_text()


def test_a_drill_without_coverage_prompts_says_so(run_folder, service):
    preset = served(run_folder, service, coverage=())
    with pytest.raises(UserError, match=r"no holdout rows .*coverage_dir"):
        asyncio.run(run_drill(preset, DrillOptions(**FAST)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.0, None, ["F15"], 3), "no fault 'F15'. There are F1 to F14"),
        ((0.0, None, None, 3), "--rate is 0"),
        ((1.0, None, None, 0), "--requests 0"),
    ],
)
def test_options_that_cannot_be_used(arguments, message):
    with pytest.raises(UserError, match=message):
        DrillOptions.of(*arguments)


@pytest.mark.slow
@pytest.mark.soak
def test_every_cell_answers_all_of_its_requests(run_folder, service):
    report = asyncio.run(
        run_drill(served(run_folder, service), DrillOptions(**FAST | {"with_cold_model": True}))
    )
    assert len(report.cells) == 4 * len(FAULTS) - 2 * len(STREAM_ONLY)
    assert [cell for cell in report.cells if cell.lost or cell.half_answers] == []
    assert all(cell.seconds_to_switch is not None for cell in report.cells)
