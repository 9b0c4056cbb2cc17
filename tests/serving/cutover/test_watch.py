"""`understudy watch`: what a look asks, what it costs, and when it raises the alarm."""

import datetime

import httpx
import pytest

from core.errors import UserError
from core.reports.watch import WatchLook, WatchRate, WatchReport
from core.usage import Usage
from judging.control_chart import limits
from judging.pairs import PairScore
from judging.schemas import Answer
from reports.charts import WIDTHS
from reports.watch_page import page as watch_page
from reports.watch_page.control_chart import control_spec
from reports.watch_page.page import render_watch
from service_llm.errors import ServiceLLMError
from service_llm.types import Result
from serving.cutover import commands
from serving.cutover.watch import Watch, look_on
from serving.cutover.watch_alarms import MODEL_DRIFT, SERVICE_DRIFT, SWAPPED, find_alarms
from serving.running import GatewayAwayError, RefusedError, RunningGateway
from tests.serving.cutover.conftest import ROWS, START
from tests.serving.gateway.harness import MODEL_TEXT, harness

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

    error = None
    is_unreadable = False

    def score(self, pairs):
        assert all(pair.response for pair in pairs)  # no judge is paid for an empty one
        if self.error:
            raise self.error
        if self.is_unreadable:
            return [PairScore(1.0, 0.0, False, False, "0 of 3 votes could be read.")] * len(pairs)
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
        self.fails = self.is_away = False
        self.seconds = []

    def post(self, name, values, timeout_seconds=30.0):
        self.seconds.append(timeout_seconds)
        if name == "alarm":
            if self.is_away:
                raise GatewayAwayError("No gateway answers.")
            name, _, task = values["name"].partition(":")
            assert task == "triage"  # the alarms of other tasks are left as they are
            self.alarms[name] = values["raised"]
            return {}
        if self.fails:
            raise RefusedError("the tuned model's server does not answer")
        return {"text": OUTPUTS[values["text"]], "round": 3, "model_version": "triage/round-3@a"}


@pytest.fixture
def watch(preset_of):
    kept = []
    made = Watch(
        preset_of(watch={"prompts": 2, "budget_usd": 2}),
        service=Service(), scorer=Scorer(), gateway=Gateway(), report=WatchReport(task="triage"),
        keep=kept.append,
        now=lambda: START + datetime.timedelta(days=made.day),
    )  # fmt: skip
    made.day, made.kept = 0, kept
    return made


def test_a_look_asks_the_same_holdout_prompts_anew(watch):
    first = watch.look()
    watch.day = 1
    second = watch.look()
    assert (first.service, first.model) == (
        WatchRate(covered=2, total=2), WatchRate(covered=2, total=2),
    )  # fmt: skip
    assert (first.round, first.cost_usd, first.alarms) == (3, 0.5, ())
    one, _, two, _ = watch._service.indices
    assert watch._service.indices == [one, one, two, two]
    assert one != two  # no answer of the first from the journal
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


def test_a_look_that_would_exceed_the_budget_is_not_begun(watch):
    watch._settings = watch._settings.model_copy(update={"budget_usd": 1.3})
    watch.look()
    watch.look()
    with pytest.raises(UserError, match=r"cost \$1.00.* 1.3: another one, about \$0.50, would"):
        watch.look()
    assert len(watch._service.indices) == 4
    watch._settings = watch._settings.model_copy(update={"prompts": 1})
    assert watch.look().cost_usd == 0.25


@pytest.mark.parametrize("error", [ServiceLLMError("The judge is down."), KeyboardInterrupt()])
def test_a_failed_look_counts_in_the_budget_and_leaves_the_next_one_no_replies(watch, error):
    watch._scorer.error = error
    for day in range(4):
        watch.day = day
        with pytest.raises(type(error)):
            watch.look()
    assert len(set(watch._service.indices)) == 4  # the next day's look reads no reply of this one
    assert [look.cost_usd for look in watch.kept[-1].failed] == [0.5] * 4
    assert watch.kept[-1].looks == ()
    watch._scorer.error = None
    with pytest.raises(UserError, match=r"have cost \$2.00"):
        watch.look()


def test_a_look_that_cost_nothing_is_not_kept(watch):
    watch._gateway.post = lambda *arguments: (_ for _ in ()).throw(GatewayAwayError("away"))
    with pytest.raises(GatewayAwayError):
        watch.look()
    assert watch.kept == []


def test_an_alarm_that_no_gateway_takes_is_kept_and_raised_at_the_next_look(watch):
    watch.look()
    watch._service.version = "gemini-x-002"
    watch._gateway.alarms.clear()
    watch._gateway.is_away = True  # it restarts while the judge works
    assert len(watch.look().alarms) == 1
    kept = watch.kept[-1]  # another process goes on from here
    assert (len(kept.looks), list(kept.unsent), watch._gateway.alarms) == (2, [SWAPPED], {})
    watch._gateway.is_away = False
    watch.report = WatchReport.model_validate_json(kept.model_dump_json())
    assert "answers with gemini-x-002" in watch.look().alarms[0]
    assert (watch._gateway.alarms[SWAPPED], dict(watch.kept[-1].unsent)) == (True, {})
    assert watch.look().alarms == ()
    assert watch._gateway.alarms[SWAPPED] is False


def test_what_a_look_has_seen_is_kept_before_an_alarm_is_raised(watch):
    looks = []
    post = watch._gateway.post

    def posted(name, *arguments):
        if name == "alarm":
            looks.append(len(watch.kept[-1].looks))
        return post(name, *arguments)

    watch._gateway.post = posted
    watch.look()
    assert looks == [1, 1, 1]


def test_a_service_that_fails_ends_its_look_and_a_spent_budget_the_watch():
    away = GatewayAwayError("No gateway answers.")
    results = iter([ServiceLLMError("The service is down."), away, None, UserError("spent")])
    said, slept = [], []

    def look():
        if error := next(results):
            raise error

    with pytest.raises(UserError, match="spent"):
        look_on(look, 3600, say=said.append, sleep=slept.append)
    assert said == [
        f"This check failed: {reason} The next is in 1 h 00 min."
        for reason in ("The service is down.", "No gateway answers.")
    ]
    assert slept == [3600] * 3


def test_a_model_that_does_not_answer_covers_nothing(watch):
    watch._gateway.fails = True
    look = watch.look()
    assert (look.model, look.round) == (WatchRate(covered=0, total=2), None)


def test_a_model_that_hangs_is_waited_for_until_the_gateway_gives_it_up(watch):
    watch.look()
    server = watch._preset.settings.model
    assert min(watch._gateway.seconds[:2]) > server.queue_seconds + server.timeout_seconds


def test_a_model_that_hangs_covers_nothing(servers, preset_of):
    async def hang(request, reply):
        await reply.stall()

    model = {"timeout_seconds": 0.2, "queue_seconds": 0.1, "keep_warm_seconds": 0}
    servers.start(servers.settings(model=model))
    servers.model.behavior = hang
    watch = Watch(
        preset_of(watch={"prompts": 2}, model=model), service=Service(), scorer=Scorer(),
        gateway=RunningGateway(int(servers.url.rpartition(":")[2])),
        report=WatchReport(task="triage"), keep=lambda report: None,
    )  # fmt: skip
    look = watch.look()
    assert (look.model, look.service.covered) == (WatchRate(covered=0, total=2), 2)


def test_answers_that_cannot_be_scored_count_as_not_covered_and_are_said(watch):
    for day in range(8):
        watch.day = 31 * day
        watch.look()
    watch._scorer.is_unreadable = True
    watch.day += 31
    look = watch.look()
    assert look.service == look.model == WatchRate(covered=0, total=2, unscored=2)
    assert [alarm.endswith("; 2 answers could not be scored and count as not covered")
            for alarm in look.alarms] == [True, True]  # fmt: skip


def test_other_prompts_have_another_usual_rate(watch):
    usual = look(2, 2, "gemini-x-001", total=2).model_copy(update={"prompts": "those before"})
    watch.report = WatchReport(task="triage", looks=(usual,) * 6)
    seen = watch.look()
    assert (seen.service.covered, seen.alarms) == (2, ())
    watch.report = WatchReport(
        task="triage", looks=(usual.model_copy(update={"prompts": seen.prompts}),) * 6
    )
    watch._service.error = "refused"
    assert len(watch.look().alarms) == 1
    fewer = watch._preset.settings.watch.model_copy(update={"prompts": 1})
    watch._settings = fewer
    assert watch.look().prompts != seen.prompts


@pytest.mark.parametrize("error", ["refused", "bad_output", "truncated"])
def test_a_service_whose_answers_cannot_be_read_covers_nothing(watch, error):
    watch._service.error = error
    look = watch.look()
    assert (look.service, look.model.covered) == (WatchRate(covered=0, total=2), 2)


def test_a_side_that_fails_at_every_prompt_has_drifted(watch):
    same = {"model_version": "t/round-3@a", "prompts": watch.look().prompts}
    looks = [look(2, model=2, total=2).model_copy(update=same)] * 6
    watch.report = WatchReport(task="triage", looks=tuple(looks))
    watch._gateway.fails, watch._service.error, watch._service.version = True, "refused", ""
    watch.look()
    assert watch._gateway.alarms == {SWAPPED: False, SERVICE_DRIFT: True, MODEL_DRIFT: True}


def look(service, model=36, version="v1", round=3, weights=None, total=40):
    return WatchLook(
        time="2026-11-01T00:00:00+00:00",
        service=WatchRate(covered=service, total=total),
        service_versions=(version,),
        model=WatchRate(covered=model, total=total),
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


def test_the_limits_of_the_chart_are_those_of_the_alarm(preset_of, capsys, monkeypatch):
    drawn = []
    draw = watch_page.draw_control_chart

    def kept(title, looks, limits, *, is_service):
        spec = control_spec(looks, limits, WIDTHS["wide"], is_service=is_service)
        drawn.append([x["data"]["values"][0] for x in spec["layer"] if "data" in x][:1])
        return draw(title, looks, limits, is_service=is_service)

    monkeypatch.setattr(watch_page, "draw_control_chart", kept)
    old = [look(38, model=36) for _ in range(6)]
    new = [look(20, model=36, version="v2", round=3) for _ in range(5)]
    preset = preset_of()
    page = preset.output_dir / "watch.html"

    def bands(looks):
        drawn.clear()
        commands._keep_looks(preset, WatchReport(task="triage", looks=tuple(looks)))
        assert page.read_text().count("<img") == 2
        return [band for of_chart in drawn for band in of_chart]

    # Five looks at the new service give it no limits yet; the model is the same all along.
    assert [band["look"] for band in bands(old + new)] == [1]
    service, model = bands([*old, *new, new[0]])
    assert (service["look"], service["end"], model["look"]) == (7, 12, 1)
    # The band is around 20 of 40, and not around what the old service covered.
    assert service["high"] == pytest.approx(100 * limits([(20, 40)] * 6).high)
    assert find_alarms([*old, *new, look(36, version="v2")]).keys() == {SERVICE_DRIFT}


def test_checks_that_left_out_what_could_not_be_scored_are_compared_with_no_later_ones():
    earlier = [look(28, model=28, total=30)] * 6
    assert find_alarms([*earlier, look(28, model=28)]) == {}
    drifted = look(15, model=15, total=30)
    assert set(find_alarms([*earlier, drifted])) == {SERVICE_DRIFT, MODEL_DRIFT}


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
    assert page.count("<img") == 2
    assert page.count("Usual: 75.0 %, by chance 60.0 to 90.0 %.") == 1
    assert page.count("Limits are drawn after six checks") == 1


@pytest.mark.parametrize(("looks", "marks"), [(2, ["point"]), (3, ["line", "point"])], ids=str)
def test_two_looks_are_no_line(looks, marks):
    spec = control_spec([look(30)] * looks, None, WIDTHS["wide"], is_service=True)
    assert [layer["mark"]["type"] for layer in spec["layer"]] == marks


def test_an_alarm_outlives_the_gateway_until_a_check_clears_it(servers, tmp_path):
    def alarms():
        found = httpx.get(f"{servers.url}/understudy/status").json()["alarms"]
        return {alarm["name"]: alarm["text"] for alarm in found}

    def post(raised):
        gateway = RunningGateway(int(servers.url.rpartition(":")[2]))
        gateway.post("alarm", {"name": SERVICE_DRIFT, "raised": raised, "text": "drifted"})

    servers.start(state_dir=tmp_path)
    post(True)
    servers.restart(state_dir=tmp_path)
    assert alarms() == {"watch:service_drift": "drifted"}
    with harness() as other:  # shares the folder
        other.start(state_dir=tmp_path)
        assert other.app._gateway.alarms.is_raised("watch:service_drift")
        post(False)
        other.wait_until(lambda: not other.app._gateway.alarms.is_raised("watch:service_drift"))
    servers.restart(state_dir=tmp_path)
    assert alarms() == {}
    post(True)
    (tmp_path / "watch_alarms.json").unlink()
    servers.wait_until(lambda: alarms() == {})


def test_a_damaged_file_of_alarms_or_a_full_disk_stops_no_gateway(servers, tmp_path, capsys):
    (tmp_path / "watch_alarms.json").write_text("{")
    servers.start(state_dir=tmp_path)
    (tmp_path / ".watch_alarms.json.new").mkdir()
    gateway = RunningGateway(int(servers.url.rpartition(":")[2]))
    gateway.post("alarm", {"name": SERVICE_DRIFT, "raised": True, "text": "drifted"})
    assert servers.app._gateway.alarms.is_raised("watch:service_drift")
    assert "a restart forgets the alarms of understudy watch" in capsys.readouterr().err


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


def test_without_the_library_the_page_has_the_figures_as_text(monkeypatch):
    monkeypatch.setattr("reports.charts.can_draw", lambda: False)
    report = WatchReport(task="triage", looks=tuple(look(30) for _ in range(8)))
    page = render_watch(report, (0.6, 0.75, 0.9), None)
    assert "<img" not in page
    assert "The service: control chart. 8 checks; the newest covers 30 of 40." in page
    assert "pip install &#39;.[serve,charts]&#39;" in page
