"""What a drill does, step by step: its cells, a cell's requests on a clock, what is printed."""

import asyncio
import contextlib
import json
import re
import shlex
from types import SimpleNamespace

import pytest

from core.errors import UserError
from core.records import CoverageRow
from pipeline.cli.parser import make_parser
from service_llm.settings import ServiceLLMSettings
from serving import commands
from serving.drill import cell as cell_module
from serving.drill import run as run_module
from serving.drill.cell import CellPlan, Tally, run_cell
from serving.drill.clients import Reply
from serving.drill.faults import FAULTS
from serving.drill.options import DrillOptions
from serving.drill.page import say, say_plan, write_report
from serving.drill.record import AnsweredBy, Cell, Coverage, DrillReport, Rate
from serving.gateway.task import ServedTask
from serving.preset import ServedPreset
from serving.settings import ServingSettings
from task.privacy import PrivacySettings
from task.task import Task

MODEL, SERVICE = "triage/round-1@h", "gemini-x"
ALL = [f"F{number}" for number in range(1, 15)]


def served(schema=None):
    return ServedTask(
        name="triage", instruction="Sort.", model="m", round=1, hash="h", output_schema=schema,
        base_url="http://127.0.0.1:9/v1", api_model="m", context_length=64, max_output_tokens=8,
        count_tokens=lambda messages: 1,
    )  # fmt: skip


def plans(tmp_path, *, provider="gemini", schema=None):
    """The cells of a whole drill, in turn."""
    service = ServiceLLMSettings(provider=provider, model="m", base_url="http://127.0.0.1:9/v1")
    rows = [CoverageRow(f"c{n}", f"Prompt {n}", "{}", "holdout") for n in range(4)]
    preset = ServedPreset(
        preset="p", task=Task(name="triage", instruction="Sort."), coverage=tuple(rows),
        output_dir=tmp_path, settings=ServingSettings(service=service),
    )  # fmt: skip
    options = DrillOptions(rate=5.0)
    return run_module._Drill(
        preset=preset, options=options, models=None, task=served(schema), rows=rows, folder=tmp_path
    )._plans()


def test_every_fault_is_met_whole_and_streamed_through_both_protocols(tmp_path):
    found = plans(tmp_path, schema={"type": "object"})
    cells = [(plan.fault, plan.stream, plan.protocol) for plan in found]
    assert cells == [
        (fault, stream, protocol)
        for fault in ALL
        for stream in (False, True)
        for protocol in ("gemini", "openai")
        if stream or fault not in ("F12", "F13")  # a whole answer has no stream to be cut
    ]
    assert {plan.rate for plan in found} == {5.0}
    asked = [message for plan in found for message in plan.messages]
    assert asked[:6] == ["Prompt 0", "Prompt 1", "Prompt 2", "Prompt 3", "Prompt 0", "Prompt 1"]


def test_cells_that_do_not_apply_are_left_out(tmp_path):
    assert {plan.fault for plan in plans(tmp_path)} == {*ALL} - {"F11"}  # there is no contract
    found = plans(tmp_path, provider="openai", schema={"type": "object"})
    assert {plan.protocol for plan in found} == {"openai"}


def test_a_drill_asks_without_personal_data_where_the_task_redacts(tmp_path, monkeypatch):
    class AskedError(Exception):
        pass

    class Models:
        def __init__(self, presets):
            pass

        async def load(self, round):
            return (served(),)

        async def close(self):
            pass

    async def run(drill):
        raise AskedError([row.prompt for row in drill._rows])

    monkeypatch.setattr(run_module, "TunedModels", Models)
    monkeypatch.setattr(run_module._Drill, "run", run)
    preset = ServedPreset(
        preset="p",
        task=Task(name="triage", instruction="Sort."),
        coverage=(CoverageRow("c1", "Write to anna@example.com", "{}", "holdout"),),
        output_dir=tmp_path,
        settings=ServingSettings(
            service=ServiceLLMSettings(
                provider="openai", model="m", base_url="http://127.0.0.1:9/v1"
            )
        ),
        privacy=PrivacySettings(redact=True),
    )
    with pytest.raises(AskedError, match=re.escape("['Write to [EMAIL_1]']")):
        asyncio.run(run_module.run_drill(preset, DrillOptions()))


class Clock:
    """Time passes where somebody waits, a request takes a tenth of a second."""

    def __init__(self, events):
        self.now, self.events = 0.0, events

    async def sleep(self, seconds):
        self.events.append(f"wait {seconds:g}")
        self.now += seconds

    def monotonic(self):
        return self.now


class Proxy:
    def __init__(self, events):
        self.events, self.fault = events, None

    async def inject(self, fault):
        self.events.append(f"inject {fault}")
        self.fault = fault

    async def clear(self):
        self.events.append("clear")
        self.fault, self.since = None, 2


class Application:
    """The model answers while the fault lasts and twice after it, and then the service."""

    def __init__(self, proxy, clock):
        self.proxy, self.clock = proxy, clock
        proxy.since = 0

    async def ask(self, message, *, stream):
        self.clock.now += 0.1
        is_model = self.proxy.fault is not None or self.proxy.since > 0
        self.proxy.since -= self.proxy.fault is None
        self.proxy.events.append(f"{message} by {'model' if is_model else 'service'}")
        return Reply("a", True, MODEL if is_model else SERVICE)


@pytest.fixture
def struck(monkeypatch):
    """Runs a cell on a clock of its own; the cell, and what happened."""

    def struck(fault, *, cools=True):
        events = []
        clock, proxy = Clock(events), Proxy(events)
        asyncio_ = SimpleNamespace(sleep=clock.sleep, gather=one_after_the_other)
        monkeypatch.setattr(cell_module, "asyncio", asyncio_)
        monkeypatch.setattr(cell_module, "time", clock)

        async def cool():
            events.append("cool")

        plan = CellPlan(fault, "gemini", False, ["a", "b", "c"], rate=2.0)
        application = Application(proxy, clock)
        tally = Tally(MODEL)
        work = run_cell(plan, proxy, application, tally, cool if cools else None)
        return asyncio.run(work), events

    return struck


async def one_after_the_other(*asking):
    for each in asking:
        await each


def test_a_fault_is_met_by_a_warm_model_and_by_one_that_was_just_started(struck):
    cell, events = struck("F6")
    once = [
        *("a by service", "inject F6"),
        *("wait 0", "a by model", "wait 0.5", "b by model", "wait 1", "c by model", "clear"),
        *("a by model", "wait 0.25", "a by model", "wait 0.25", "a by service"),
    ]
    assert events == [*once, "cool", *once]
    assert (cell.requests, cell.lost) == (14, 0)
    assert cell.seconds_to_switch == pytest.approx(0.1)
    assert cell.seconds_to_return == pytest.approx(3 * 0.1 + 2 * 0.25)


def test_a_fault_of_the_address_has_no_way_back(struck):
    cell, events = struck("F2", cools=False)
    assert not [event for event in events if event.startswith("inject")]
    assert cell.seconds_to_return is None


def report(lost):
    cell = Cell(
        fault="F6", protocol="gemini", stream=True, requests=12, lost=lost, half_answers=lost,
        seconds_to_switch=0.5, seconds_to_return=None,
    )  # fmt: skip
    rate = Rate(rate=70, low=60, high=78)
    return DrillReport(
        requests=12, answered_by=AnsweredBy(service=5, model=7 - lost), lost=lost,
        half_answers=lost, not_of_task=2, cells=(cell,),
        coverage=Coverage(service=None, model=rate),
        sustained_requests_per_second=3.5, peak_requests_per_second=3,
    )  # fmt: skip


@pytest.mark.parametrize("lost", [0, 2])
def test_what_happened_is_printed_cell_by_cell_and_as_a_whole(tmp_path, capsys, lost):
    found = report(lost)
    say(found.cells[0])
    preset = SimpleNamespace(output_dir=tmp_path, task=Task(name="triage", instruction="Sort."))
    write_report(found, preset, ["timed out"] * lost)
    cell, outcome, *lines = capsys.readouterr().out.splitlines()
    assert cell == "  F6 server error (503): gemini stream"
    verdict = "none lost" if not lost else "2 LOST"
    assert outcome == f"     12 requests, {verdict}; model after 0.5 s, return not seen"
    whole = "All 12 requests were answered." if not lost else "2 of 12 requests were lost."
    assert lines[:4] == [
        whole,
        f"By the service 5, by the tuned model {7 - lost}; half answers {lost}; not of the task 2.",
        "Coverage: service not measured, tuned model 70 % (60 to 78).",
        "The tuned model answers 3.5 requests a second here, enough for the peak of 3.",
    ]
    assert ("lost: timed out" in lines) == bool(lost)
    assert json.loads((tmp_path / "drill.json").read_text())["lost"] == lost
    assert lines[-1] == f"See {tmp_path / 'drill.html'} and {tmp_path / 'drill.json'}."


@pytest.mark.parametrize("lost", [0, 1])
def test_the_command_ends_with_status_1_if_anything_was_lost(monkeypatch, lost):
    seen = []

    async def run_drill(preset, options):
        seen.append((preset, options))
        return report(lost)

    @contextlib.contextmanager
    def load(names, overrides):
        yield names

    monkeypatch.setattr(run_module, "run_drill", run_drill)
    words = shlex.split("drill --preset p --rate 5 --peak 20 --requests 2 --faults F4 F6")
    arguments = make_parser().parse_args(words)
    with pytest.raises(SystemExit) if lost else contextlib.nullcontext() as ended:
        commands.drill(arguments, load)
    assert (ended.value.code if lost else 0) == lost
    [(preset, options)] = seen
    assert preset == "p"
    assert options == DrillOptions(
        rate=5, peak=20, faults=("F4", "F6"), requests_per_cell=2, sustain_seconds=10
    )


@pytest.mark.parametrize("faults", [("F11",), ("F4", "F11")])
def test_a_fault_that_the_task_cannot_have_is_refused_where_it_is_named(faults):
    drill = object.__new__(run_module._Drill)
    drill._options = DrillOptions(faults=faults)
    plans = [run_module.CellPlan(fault, "gemini", False, [], 1.0) for fault in faults[:-1]]
    with pytest.raises(UserError, match="--faults names F11, an answer outside the task's form"):
        drill._check_planned(plans)
    drill._options = DrillOptions()
    drill._check_planned(plans)  # of all faults those are tried that there can be


@pytest.mark.parametrize("fault", FAULTS)
def test_a_cell_fits_a_terminal_and_says_what_its_missing_times_mean(capsys, fault):
    cell = Cell(
        fault=fault, protocol="openai", stream=True, requests=1234, lost=123, half_answers=0,
        seconds_to_switch=None, seconds_to_return=None,
    )  # fmt: skip
    say(cell)
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    assert "the model did not answer" in said
    assert ("the address stays wrong" in said) == (fault in ("F2", "F3"))


def test_a_drill_begins_with_its_length(capsys):
    warm, both = (DrillOptions().seconds_of(52, with_cold_model=cold) for cold in (False, True))
    assert both - 10 == 2 * (warm - 10), "besides the ten seconds of the sustained load"
    say_plan(52, 14, 780, with_cold_model=True)
    said = capsys.readouterr().out
    assert said.startswith("52 cells follow: 14 faults, each tried with every kind of client, with")
    assert "about 13 minutes on an idle machine" in said.replace("\n", " ")
    assert max(map(len, said.splitlines())) <= 80
    say_plan(2, 1, 20, with_cold_model=False)
    said = capsys.readouterr().out.replace("\n", " ")
    assert said.startswith("2 cells follow: 1 fault tried with every kind of client; about a")
    assert "just started" not in said
