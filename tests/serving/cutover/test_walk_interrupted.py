"""A walk that is killed, stopped or resumed, and one whose mode or model somebody changes."""

import json

import pytest

from core.errors import UserError
from core.reports.cutover import BACK, DONE, WALKING, CutoverReport
from serving.cutover import commands
from serving.cutover.kept_walk import new_report
from serving.running import GatewayAwayError
from tests.serving.cutover.conftest import START, exchange
from tests.serving.cutover.walking import Gateway, walk_over


def test_a_stopped_walk_is_resumed_where_it_was(walk):
    while walk.walk.report.percent < 5:
        walk.traffic(200)
        walk.walk.look()
    walk.traffic(100)
    walk.walk.look()
    before = walk.walk.report
    walk.resume(CutoverReport.read(str(walk.file)))
    assert (walk.walk.report.step, walk.walk.report.step_began) == (1, before.step_began)
    walk.traffic(200)
    assert walk.walk.look().step == "go on"
    assert walk.gateway.mode["canary_percent"] == 25


def killed(walk, do):
    walk.gateway.dies = True
    with pytest.raises(KeyboardInterrupt):
        do()
    walk.gateway.dies = False
    walk.resume(CutoverReport.read(str(walk.file)))


def test_a_walk_that_is_killed_between_its_two_writes_moves_nobody_back(walk):
    walk.traffic(800)
    killed(walk, walk.walk.look)
    assert (walk.walk.report.percent, walk.gateway.mode["canary_percent"]) == (5, 5)
    assert CutoverReport.read(str(walk.file)).percent == 5
    killed(walk, walk.walk.begin)
    assert (walk.walk.report.percent, walk.gateway.mode["canary_percent"]) == (5, 5)


def test_a_walk_that_is_killed_while_it_goes_back_does_not_walk_on(walk):
    walk.traffic(800, wrong=300)
    killed(walk, walk.walk.look)
    assert (walk.walk.report.status, walk.gateway.mode["mode"]) == (BACK, "failover")
    assert CutoverReport.read(str(walk.file)).status == BACK


@pytest.mark.parametrize("wrong", [0, 600], ids=["advance", "go back"])
def test_a_mode_that_somebody_sets_while_the_judge_is_asked_stays(walk, wrong):
    score = walk.scorer.score

    def slowly(pairs):
        walk.gateway.mode = {"mode": "private", "canary_percent": 0, "set_by": "serve mode"}
        return score(pairs)

    walk.scorer.score = slowly
    walk.traffic(800, wrong=wrong)
    with pytest.raises(UserError, match="kept its mode: The mode is private"):
        walk.walk.look()
    assert walk.gateway.mode["mode"] == "private"
    assert CutoverReport.read(str(walk.file)).status == WALKING


def test_a_mode_that_somebody_changed_stops_the_walk(walk):
    walk.gateway.post("mode", {"mode": "failover", "canary_percent": 0, "set_by": "serve mode"})
    with pytest.raises(
        UserError, match=r"mode is failover.*set by serve mode, not the canary of 1"
    ):
        walk.walk.look()


def test_a_share_that_a_person_sets_stays_though_it_is_that_of_the_step(walk):
    walk.traffic(800)
    score = walk.scorer.score

    def slowly(pairs):
        walk.gateway.mode = {"mode": "canary", "canary_percent": 1, "set_by": "serve mode"}
        return score(pairs)

    walk.scorer.score = slowly
    for message in ("kept its mode: The mode is canary", r"canary \(1 %\), set by serve mode"):
        with pytest.raises(UserError, match=message):
            walk.walk.look()
    assert walk.gateway.mode["set_by"] == "serve mode"


class Restarting:
    """A gateway that is away at some of the requests, before or after it has done them."""

    def __init__(self, gateway):
        self._gateway = gateway
        self.away = []

    def status(self):
        self._leave("before")
        return self._gateway.status()

    def post(self, name, values):
        done = self._gateway.post(name, values)
        self._leave("after")
        return done

    def _leave(self, when):
        if self.away and self.away[0] == when:
            self.away.pop(0)
            raise GatewayAwayError("No gateway answers on port 9.")


@pytest.mark.parametrize(
    ("away", "wrong", "status"),
    [(["before"] * 3, 0, DONE), (["after"], 0, DONE), (["after"], 300, BACK)],
    ids=["between two looks", "when it advances", "when it goes back"],
)
def test_a_gateway_that_restarts_ends_no_walk(walk, monkeypatch, capsys, away, wrong, status):
    walk.walk._mode._gateway = restarting = Restarting(walk.gateway)
    monkeypatch.setattr(commands.time, "sleep", lambda seconds: walk.traffic(800, wrong=wrong))
    walk.traffic(800, wrong=wrong)
    begin = walk.walk.begin

    def begun():
        begin()
        restarting.away = restarting.away or list(away)
        monkeypatch.setattr(walk.walk, "begin", begin)

    monkeypatch.setattr(walk.walk, "begin", begun)
    commands._walk_on(walk.walk, 30)
    assert (restarting.away, walk.walk.report.status) == ([], status)
    assert capsys.readouterr().out.count("The walk resumes once it answers.") == 1


@pytest.mark.parametrize(
    ("mode", "advice"),
    [
        ("failover", r"first go back \(understudy cutover --back\)"),
        ("canary", r"first go back \(understudy cutover --back\)"),
        ("private", "--back` ends the walk and leaves the mode as it is"),
    ],
)
def test_a_resumed_walk_keeps_what_a_person_set_meanwhile(walk, mode, advice):
    walk.gateway.mode = {"mode": mode, "canary_percent": 3, "set_by": "serve mode"}
    for again in (lambda: walk.resume(CutoverReport.read(str(walk.file))), walk.walk.look):
        with pytest.raises(UserError, match=rf"set by serve mode, .*{advice}"):
            again()
    assert (walk.gateway.mode["mode"], walk.gateway.mode["set_by"]) == (mode, "serve mode")
    assert CutoverReport.read(str(walk.file)).status == WALKING


@pytest.mark.parametrize("mode", ["failover", "private", "canary"])
def test_a_walk_that_was_stopped_before_its_first_step_keeps_what_was_set_since(preset_of, mode):
    def fail(name, values):
        raise UserError("killed")

    preset, gateway = preset_of(), Gateway()
    gateway.post, post = fail, gateway.post
    report = new_report("triage", [1, 100], START)
    with pytest.raises(UserError, match="killed"):
        walk_over(preset, report, gateway).begin()
    gateway.post = post
    kept = CutoverReport.read(str(preset.output_dir / "cutover.json"))
    assert kept.events == ()
    before = dict(gateway.mode)
    gateway.mode = {"mode": mode, "canary_percent": 3.0, "set_by": "serve mode"}
    with pytest.raises(UserError, match=rf"mode is {mode} \(3 %\), set by serve mode"):
        walk_over(preset, kept, gateway).begin()
    assert (gateway.mode["mode"], gateway.mode["canary_percent"]) == (mode, 3)
    gateway.mode = before
    walk_over(preset, kept, gateway).begin()
    assert (gateway.mode["mode"], gateway.mode["set_by"]) == ("canary", "cutover")


def test_in_private_the_way_back_ends_the_walk_and_leaves_the_mode(walk):
    walk.gateway.mode = {"mode": "private", "canary_percent": 0, "set_by": "serve mode"}
    walk.walk.go_back("asked for with --back")
    assert walk.gateway.mode["mode"] == "private"
    assert CutoverReport.read(str(walk.file)).status == BACK
    assert "the walk has ended, and the mode stays private: asked for" in walk.said[-1]


def test_ctrl_c_leaves_the_canary_and_a_walk_to_resume(walk, monkeypatch, capsys):
    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands.time, "sleep", interrupt)
    walk.traffic(800)
    commands._walk_on(walk.walk, 30)
    assert (walk.gateway.mode["mode"], walk.gateway.mode["canary_percent"]) == ("canary", 5)
    kept = CutoverReport.read(str(walk.file))
    assert (kept.status, kept.percent) == (WALKING, 5)
    assert (
        "Stopped; the canary stays at 5 %. Run the same command to resume"
        in capsys.readouterr().out
    )


def test_no_walk_begins_from_private(walk):
    walk.gateway.mode = {"mode": "private", "canary_percent": 0, "set_by": "serve mode"}
    with pytest.raises(UserError, match=r"mode is private.*serve mode failover"):
        walk.resume(new_report("triage", [1, 100], START))
    assert walk.gateway.mode["mode"] == "private"


def test_a_mode_that_is_set_while_the_walk_begins_stays(walk):
    def keep():
        walk.gateway.mode = {"mode": "private", "canary_percent": 0, "set_by": "serve mode"}

    walk.walk._keep = keep
    with pytest.raises(UserError, match="kept its mode: The mode is private"):
        walk.walk.begin()
    assert walk.gateway.mode["mode"] == "private"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"round": 4}, "with the model of round 3, and the model of round 4 answers now"),
        ({"model_version": "t/round-3@4ew"}, "round 3, and t/round-3@4ew answers now"),
    ],
    ids=["another round", "a run that was repeated"],
)
def test_another_model_stops_the_walk(walk, change, message):
    walk.traffic(10)
    walk.walk.look()
    line = json.loads(exchange(99, prompt="p", service="s", model="m"))
    line["model"] |= change
    with (walk.folder / "more.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    with pytest.raises(UserError, match=message):
        walk.walk.look()
