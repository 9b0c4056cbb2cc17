"""Drills on a tiny tuned model: real clients, the real gateway, the stand-in as service."""

import asyncio
import json

import pytest
import yaml

from core.errors import UserError
from pipeline.serving import served_presets
from service_llm.settings import ServiceLLMSettings
from serving.drill.faults import FAULTS, STREAM_ONLY
from serving.drill.options import DrillOptions
from serving.drill.record import DrillReport
from serving.drill.run import run_drill
from standin.application import serve
from tests.serving.conftest import preset_of
from tests.serving.pairs import PAIRS
from tests.serving.test_serve import write_tiny_preset

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
    assert_names(json.loads(written))
    page = (run_folder / "drill.html").read_text()
    assert "drill passed" in page
    assert "TOO FEW for the peak of 1000" in capsys.readouterr().out


def assert_names(written):
    """What scripts read of `drill.json`."""
    assert written.keys() - {"peak_requests_per_second"} == {
        "schema_version", "requests", "answered_by", "lost", "half_answers", "not_of_task",
        "cells", "coverage", "sustained_requests_per_second",
    }  # fmt: skip
    assert written["schema_version"] == 1
    assert written["peak_requests_per_second"] == 1000
    assert written["sustained_requests_per_second"] > 0
    assert written["answered_by"].keys() == {"service", "model"}
    for cell in written["cells"]:
        assert cell.keys() == {
            "fault", "protocol", "stream", "requests", "lost", "half_answers",
            "seconds_to_switch", "seconds_to_return",
        }  # fmt: skip
    assert written["coverage"].keys() == {"service", "model"}
    for rate in written["coverage"].values():
        assert rate.keys() == {"rate", "low", "high"}
        assert 0 <= rate["low"] <= rate["rate"] <= rate["high"] <= 100


def on_disk(folder, run_folder, service, *, contract):
    """A preset and a coverage dataset as files, whose task has a contract, and where from."""
    file = write_tiny_preset(
        folder, run_folder, service.base_url,
        first_byte_bounds={"min_seconds": 0.5}, between_bytes_seconds=0.5,
    )  # fmt: skip
    if contract == "schema":
        values = yaml.safe_load(file.read_text())
        values["task"]["output_schema"] = {**SCHEMA, "properties": {"category": {"type": "string"}}}
        file.write_text(yaml.safe_dump(values))
    if contract == "seeds":
        rows = [
            {"id": f"s{n}", "prompt": f"{prompt}, order {n}", "output": output, "split": "seed"}
            for n, (prompt, output) in enumerate(PAIRS * 7)
        ]
        with (folder / "coverage" / "rows.jsonl").open("a") as added:
            added.write("".join(f"\n{json.dumps(row)}" for row in rows))
    return file


def test_an_answer_out_of_form_is_no_fault_of_a_task_without_a_form(run_folder, service, tmp_path):
    file = on_disk(tmp_path, run_folder, service, contract="none")
    with (
        served_presets([str(file)], []) as [preset],
        pytest.raises(UserError, match="--faults names F11"),
    ):
        asyncio.run(run_drill(preset, DrillOptions(faults=("F11",), **FAST)))


@pytest.mark.parametrize("contract", ["schema", "seeds"])
def test_a_preset_on_disk_is_rehearsed_with_the_contract_of_its_task(
    run_folder, service, tmp_path, contract
):
    file = on_disk(tmp_path, run_folder, service, contract=contract)
    with served_presets([str(file)], []) as [preset]:
        report = asyncio.run(run_drill(preset, DrillOptions(faults=("F11",), **FAST)))
    cells = [(cell.fault, cell.protocol) for cell in report.cells]
    assert cells == [("F11", "gemini"), ("F11", "openai")] * 2
    assert (report.lost, report.half_answers, report.not_of_task) == (0, 0, 0)
    for cell in report.cells:  # an answer out of form is replaced, and the next healthy one is not
        assert None not in (cell.seconds_to_switch, cell.seconds_to_return), cell
    assert json.loads((run_folder / "drill.json").read_text())["cells"] == [
        cell.model_dump(mode="json") for cell in report.cells
    ]


@pytest.mark.unpublished
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
