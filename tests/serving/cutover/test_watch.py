"""`understudy watch`: what a look asks, what it costs, and when it raises the alarm."""

import datetime
import re

import httpx
import pytest

from core.errors import UserError
from core.reports.watch import WatchLook, WatchRate, WatchReport
from core.usage import Usage
from judging.control_chart import limits
from judging.pairs import PairScore
from judging.schemas import Answer
from reports.watch_page.page import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, render_watch
from service_llm.errors import ServiceLLMError
from service_llm.types import Result
from serving.cutover import commands
from serving.cutover.watch import MODEL_DRIFT, SERVICE_DRIFT, SWAPPED, Watch, find_alarms, look_on
from serving.running import RefusedError, RunningGateway
from tests.serving.cutover.conftest import ROWS, START
from tests.serving.gateway.harness import MODEL_TEXT

OUTPUTS = {row.prompt: row.output for row in ROWS}


class Service:
    """Answers with the reference, as one of its models."""

    def __init__(self):
        self.version = "gemini-x-001"
        self.indices = []
        self.error = None

    def map(self, requests):
        for request in requests:
            self.indices.append(request.index)
            row = next(row for row in ROWS if row.id == request.tag)
            usage = Usage(1, 10, 10, 0.25)
            value = None if self.error else Answer(output=row.output)
            yield Result(request, value, self.error, "", usage, False, self.version)


class Scorer:
    """Compares texts."""

    def score(self, pairs):
        assert all(pair.response for pair in pairs)  # no judge is paid for an empty one
        return [
            PairScore(1.0, float(p.output == p.response), p.output == p.response, True, "")
            for p in pairs
        ]

    def used(self):
        return Usage()


class Gateway:
    """Has a tuned model that is right, and keeps the alarms."""

    def __init__(self):
        self.alarms = {}
        self.fails = False

    def post(self, name, values):
        if name == "alarm":
            self.alarms[values["name"]] = values["raised"]
            return {}
        if self.fails:
            raise RefusedError("the tuned model's server does not answer")
        return {"text": OUTPUTS[values["text"]], "round": 3, "model_version": "triage/round-3@a"}


@pytest.fixture
def watch(preset_of):
    made = Watch(
        preset_of(watch={"prompts": 2, "budget_usd": 2}),
        service=Service(), scorer=Scorer(), gateway=Gateway(), report=WatchReport(task="triage"),
        now=lambda: START + datetime.timedelta(days=made.day),
    )  # fmt: skip
    made.day = 0
    return made


def test_a_look_asks_the_same_holdout_prompts_anew(watch):
    first, second = watch.look(), watch.look()
    assert (first.service, first.model) == (
        WatchRate(covered=2, total=2), WatchRate(covered=2, total=2),
    )  # fmt: skip
    assert (first.round, first.cost_usd, first.alarms) == (3, 0.5, ())
    assert watch._service.indices == [0, 0, 1, 1]  # no answer of the first from the journal
    assert second.service_versions == ("gemini-x-001",)


def test_a_swapped_service_raises_the_alarm_and_then_it_is_the_usual_one(watch):
    watch.look()
    watch._service.version = "gemini-x-002"
    assert "answers with gemini-x-002, and answered with gemini-x-001" in watch.look().alarms[0]
    assert watch._gateway.alarms == {SWAPPED: True, SERVICE_DRIFT: False, MODEL_DRIFT: False}
    assert watch.look().alarms == ()
    assert watch._gateway.alarms[SWAPPED] is False


def test_the_budget_of_30_days_ends_the_looks(watch):
    for _ in range(4):
        watch.look()
    with pytest.raises(UserError, match=r"have cost \$2.00, and serving.watch.budget_usd is 2"):
        watch.look()
    watch.day = 31
    assert watch.look().cost_usd == 0.5


def test_a_service_that_fails_ends_its_look_and_a_spent_budget_the_watch():
    results = iter([ServiceLLMError("The service is down."), None, UserError("spent")])
    said, slept = [], []

    def look():
        if error := next(results):
            raise error

    with pytest.raises(UserError, match="spent"):
        look_on(look, 3600, say=said.append, sleep=slept.append)
    assert said == ["This look failed: The service is down. The next is in 1 h 00 min."]
    assert slept == [3600, 3600]


def test_a_model_that_does_not_answer_covers_nothing(watch):
    watch._gateway.fails = True
    look = watch.look()
    assert (look.model, look.round) == (WatchRate(covered=0, total=2), None)


@pytest.mark.parametrize("error", ["refused", "bad_output", "truncated"])
def test_a_service_whose_answers_cannot_be_read_covers_nothing(watch, error):
    watch._service.error = error
    look = watch.look()
    assert (look.service, look.model.covered) == (WatchRate(covered=0, total=2), 2)


def test_a_side_that_fails_at_every_prompt_has_drifted(watch):
    looks = [look(36, model=36).model_copy(update={"model_version": "t/round-3@a"})] * 6
    watch.report = WatchReport(task="triage", looks=tuple(looks))
    watch._gateway.fails, watch._service.error, watch._service.version = True, "refused", ""
    watch.look()
    assert watch._gateway.alarms == {SWAPPED: False, SERVICE_DRIFT: True, MODEL_DRIFT: True}


def look(service, model=36, version="v1", round=3, weights=None):
    return WatchLook(
        time="2026-11-01T00:00:00+00:00",
        service=WatchRate(covered=service, total=40),
        service_versions=(version,),
        model=WatchRate(covered=model, total=40),
        round=round,
        model_version=weights,
        cost_usd=0.1,
        alarms=(),
    )


def test_drift_is_of_the_same_service_and_model():
    usual = [look(36) for _ in range(6)]
    assert find_alarms([*usual, look(20)]).keys() == {SERVICE_DRIFT}
    assert find_alarms([*usual, look(36, model=20)]).keys() == {MODEL_DRIFT}
    assert find_alarms([*usual, look(20, version="v2")]).keys() == {SWAPPED}
    assert find_alarms([*usual, look(36, model=20, round=4)]) == {}
    assert find_alarms([*usual, look(36, model=20, weights="t/round-3@b")]) == {}
    unknown = [look(36, round=0, weights="t/round-0@a") for _ in range(6)]  # behind a URL
    assert find_alarms([*unknown, look(36, model=20, round=0, weights="t/round-0@b")]) == {}


def test_the_limits_of_the_chart_are_those_of_the_alarm(preset_of, capsys):
    old = [look(38, model=36) for _ in range(6)]
    new = [look(20, model=36, version="v2", round=3) for _ in range(5)]
    preset = preset_of()
    page = preset.output_dir / "watch.html"

    def bands(looks):
        commands._show_look(preset, WatchReport(task="triage", looks=tuple(looks)))
        found = re.findall(
            r'<rect class="band" x="([\d.]+)" width="[\d.]+" y="([\d.]+)"', page.read_text()
        )
        return [(float(x), float(top)) for x, top in found]

    # Five looks at the new service give it no limits yet; the model is the same all along.
    assert [x for x, _ in bands(old + new)] == [LEFT]
    service, model = bands([*old, *new, new[0]])
    assert service[0] == pytest.approx(LEFT + 6 * (WIDTH - LEFT - RIGHT) / 11, abs=0.1)
    assert model[0] == LEFT
    # The band is around 20 of 40, and not around what the old service covered.
    high = limits([(20, 40)] * 6).high
    assert service[1] == pytest.approx(TOP + (HEIGHT - TOP - BOTTOM) * (1 - high), abs=0.1)
    assert find_alarms([*old, *new, look(36, version="v2")]).keys() == {SERVICE_DRIFT}


def test_a_look_that_names_no_model_is_no_swap():
    silent = look(0).model_copy(update={"service_versions": ()})
    assert SWAPPED not in find_alarms([look(36), silent])
    assert find_alarms([look(36), silent, look(36)]) == {}
    swapped = find_alarms([look(36), silent, look(36, version="v2")])
    assert "answers with v2, and answered with v1 before" in swapped[SWAPPED]
    assert find_alarms([silent]) == find_alarms([look(36)]) == {}


def test_the_page_draws_both_charts_with_their_limits():
    report = WatchReport(task="triage", looks=tuple(look(30 + n % 3) for n in range(8)))
    page = render_watch(report, (0.6, 0.75, 0.9), None)
    assert page.count("<circle") == 16
    assert page.count('<rect class="band"') == 1
    assert "Limits are drawn after six looks" in page


def test_the_gateway_samples_the_model_and_shows_the_alarm(servers):
    servers.start()
    gateway = RunningGateway(int(servers.url.rpartition(":")[2]))
    assert gateway.post("sample", {"task": "triage", "text": "Hello"}) == {
        "text": MODEL_TEXT, "round": 3, "model_version": "triage/round-3@1f2e3d4c",
    }  # fmt: skip
    with pytest.raises(RefusedError, match="No task 'other' is served"):
        gateway.post("sample", {"task": "other", "text": "Hello"})
    gateway.post("alarm", {"name": SWAPPED, "raised": True, "text": "swapped"})
    assert "watch:service_swapped" in httpx.get(f"{servers.url}/understudy/").text
    gateway.post("alarm", {"name": SWAPPED, "raised": False, "text": ""})
    assert gateway.status()["alarms"] == []


@pytest.mark.slow
def test_axe_finds_nothing_on_the_page(browser, tmp_path):
    report = WatchReport(task="triage", looks=tuple(look(30 + n % 3) for n in range(8)))
    file = tmp_path / "watch.html"
    file.write_text(render_watch(report, (0.6, 0.75, 0.9), None), encoding="utf-8")
    assert browser.audit(file.as_uri()) == []
