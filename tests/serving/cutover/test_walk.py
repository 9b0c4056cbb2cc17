"""The walk from the service to the model: what each step has to show, and the ways back."""

import datetime
import json
import re

import pytest

from core.errors import UserError
from core.reports.cutover import BACK, DONE, WALKING, CutoverReport
from judging.pairs import PairScore
from serving.cutover.kept_walk import claim_walk, new_report, read_steps, walk_to_resume
from serving.cutover.tail import CaptureTail
from serving.cutover.walk import CutoverWalk
from serving.running import RefusedError
from tests.serving.cutover.conftest import START, exchange

GOOD = PairScore(1.0, 1.0, True, True, "equal")
BAD = PairScore(1.0, 0.0, False, True, "differs")


class Gateway:
    """Keeps what it was told."""

    def __init__(self):
        self.mode = {"mode": "shadow", "canary_percent": 0.0, "set_by": "serve mode"}
        self.warning = ""
        self.dies = False
        self.alarms = []

    def status(self):
        return {"mode": self.mode, "alarms": self.alarms}

    def post(self, name, values):
        assert name == "mode"
        expected = values.get("expected")
        if expected and any(self.mode[key] != value for key, value in expected.items()):
            raise RefusedError(f"The mode is {self.mode['mode']}.")
        self.mode = {key: value for key, value in values.items() if key != "expected"}
        if self.dies:
            raise KeyboardInterrupt  # the walk is killed once the gateway has changed its mode
        return {**self.mode, "warning": self.warning}


class Scorer:
    """Counts what it scores; answers that say `wrong` are."""

    def __init__(self):
        self.scored = 0

    def score(self, pairs):
        self.scored += len(pairs)
        return [BAD if pair.response == "wrong" else GOOD for pair in pairs]


class Walk:
    """A walk over traffic that is written line by line, on a clock of its own."""

    def __init__(self, preset, report=None):
        self.seconds = 0
        self.said = []
        self.gateway, self.scorer = Gateway(), Scorer()
        self.preset = preset
        self.folder = preset.output_dir / "serving" / "capture"
        self.file = preset.output_dir / "cutover.json"
        self.resume(report or new_report("triage", [1, 5, 25, 100], self.now()))

    def now(self):
        return START + datetime.timedelta(seconds=self.seconds)

    def resume(self, report):
        self.walk = CutoverWalk(
            self.preset, report, self.file, gateway=self.gateway, scorer=self.scorer,
            say=self.said.append, now=self.now,
        )  # fmt: skip
        self.walk.begin()

    def traffic(self, count, wrong=0):
        lines = []
        for n in range(count):
            self.seconds += 1
            text = "wrong" if n < wrong else "m"
            values = json.loads(exchange(self.seconds, prompt="p", service="s", model=text))
            if n % 2:
                values |= {"served_by": "model", "reason": "canary", "service": None}
            lines.append(json.dumps(values))
        with (self.folder / "more.jsonl").open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))
        self.seconds += 1


@pytest.fixture
def walk(preset_of):
    return Walk(preset_of())


def test_a_good_model_walks_to_the_last_step(walk):
    while walk.walk.report.status == WALKING:
        walk.traffic(200)
        walk.walk.look()
    report = CutoverReport.read(str(walk.file))
    assert report.status == DONE
    assert [event.percent for event in report.events] == [1, 5, 25, 100, 100]
    assert walk.gateway.mode == {"mode": "canary", "canary_percent": 100, "set_by": "cutover"}
    assert report.round == 3


def test_a_model_that_turns_bad_goes_back_by_itself(walk):
    while walk.walk.report.percent < 25:
        walk.traffic(200)
        walk.walk.look()
    while walk.walk.report.status == WALKING:
        walk.traffic(100, wrong=60)
        walk.walk.look()
    assert walk.walk.report.status == BACK
    assert walk.gateway.mode == {"mode": "failover", "canary_percent": 0, "set_by": "cutover"}
    assert "back to the service: worse" in walk.walk.report.events[-1].text


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


def test_the_way_back_needs_no_disk(walk):
    walk.file.with_name(".cutover.json.new").symlink_to("/dev/full")
    walk.gateway.warning = "the mode is not kept"
    walk.walk.go_back("asked for")
    assert walk.gateway.mode["mode"] == "failover"
    text = "\n".join(walk.said[1:])
    assert re.search(r"asked for\. Warning: .*cannot be written \(No space left", text)
    assert "Warning: the mode is not kept." in text


def test_without_a_disk_no_user_moves_to_the_model(preset_of):
    preset = preset_of()
    (preset.output_dir / ".cutover.json.new").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"cutover\.json.*cannot be written \(No space left"):
        Walk(preset)


def test_a_second_walk_is_kept_out_until_the_first_ends(tmp_path):
    refused = pytest.raises(UserError, match="Another `understudy cutover` is")
    with claim_walk(tmp_path), refused, claim_walk(tmp_path):
        pass
    with claim_walk(tmp_path):
        pass


def test_without_a_judge_a_model_that_fails_still_goes_back(walk):
    def fail(pairs):
        raise UserError("The judge has no quota.")

    walk.scorer.score = fail
    walk.traffic(40)
    with pytest.raises(UserError, match="no quota"):
        walk.walk.look()
    assert walk.gateway.mode["mode"] == "canary"
    lines = (walk.folder / "more.jsonl").read_text().splitlines()
    missed = {"served_by": "service", "reason": "model_failed", "model": None}
    with (walk.folder / "missed.jsonl").open("w") as file:
        for number, line in enumerate(lines):
            file.write(json.dumps(json.loads(line) | missed | {"id": f"m{number}"}) + "\n")
        file.write(exchange(walk.seconds, prompt="p", service="s", model="m") + "\n")
    assert walk.walk.look().step == "go back"
    assert (walk.walk.report.status, walk.gateway.mode["mode"]) == (BACK, "failover")


def test_a_model_that_fails_while_a_slow_judge_is_asked_goes_back_at_once(walk):
    score = walk.scorer.score

    def slowly(pairs):
        failed = {"served_by": "service", "reason": "model_failed", "model": None}
        with (walk.folder / "failed.jsonl").open("a") as file:
            for _ in range(40):
                walk.seconds += 1
                line = json.loads(exchange(walk.seconds, prompt="p", service="s", model="m"))
                file.write(json.dumps(line | failed) + "\n")
        return score(pairs)

    walk.scorer.score = slowly
    walk.traffic(800)
    assert walk.walk.look().step == "go back"
    assert (walk.scorer.scored, walk.gateway.mode["mode"]) == (50, "failover")  # of 400 pairs


def test_without_capture_no_step_is_taken_and_it_is_said_once(walk):
    walk.gateway.alarms = [{"name": "capture", "text": "the disk is full", "since": ""}]
    walk.traffic(800)  # enough for a step
    assert [walk.walk.look().step, walk.walk.look().step] == ["wait", "wait"]
    assert walk.gateway.mode["canary_percent"] == 1
    assert [text for text in walk.said if "the disk is full" in text] == [
        "1 %: exchanges are not captured, so no step can be taken: the disk is full."
    ]
    walk.gateway.alarms = []
    assert walk.walk.look().step == "go on"
    assert walk.gateway.mode["canary_percent"] == 5


def test_a_capture_that_has_gone_silent_is_said_and_ends_with_the_next_exchange(walk):
    walk.traffic(10)
    assert "not yet" in walk.walk.look().why
    walk.seconds += 15 * 60
    for _ in range(3):
        assert walk.walk.look().step == "wait"
    silent = [text for text in walk.said if "no exchange has been captured since" in text]
    assert len(silent) == 1
    assert "2026-11-01T00:00:11.000Z" in silent[0]
    assert "understudy_capture_dropped_total" in silent[0]
    walk.traffic(10)
    assert "not yet" in walk.walk.look().why


def test_a_bad_model_goes_back_even_without_capture(walk):
    walk.gateway.alarms = [{"name": "capture", "text": "the disk is full", "since": ""}]
    walk.traffic(400, wrong=300)
    assert walk.walk.look().step == "go back"
    assert walk.gateway.mode["mode"] == "failover"


def test_a_mode_that_somebody_changed_stops_the_walk(walk):
    walk.gateway.post("mode", {"mode": "failover", "canary_percent": 0, "set_by": "serve mode"})
    with pytest.raises(
        UserError, match=r"mode is failover.*set by serve mode, not the canary of 1"
    ):
        walk.walk.look()


@pytest.mark.parametrize("mode", ["failover", "private", "canary"])
def test_a_resumed_walk_keeps_what_a_person_set_meanwhile(walk, mode):
    walk.gateway.mode = {"mode": mode, "canary_percent": 3, "set_by": "serve mode"}
    with pytest.raises(UserError, match=r"set by serve mode, .*understudy cutover --back"):
        walk.resume(CutoverReport.read(str(walk.file)))
    assert (walk.gateway.mode["mode"], walk.gateway.mode["set_by"]) == (mode, "serve mode")
    assert CutoverReport.read(str(walk.file)).status == WALKING


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


def test_what_was_scored_is_not_scored_again(walk):
    walk.traffic(20)
    walk.walk.look()
    walk.walk.look()
    assert walk.scorer.scored == 10


@pytest.mark.parametrize("steps", [[], [5, 1], [0, 5], [50, 101], [5, 5], [float("nan")]])
def test_steps_that_do_not_rise_are_refused(steps):
    with pytest.raises(UserError, match="must increase"):
        new_report("triage", steps, START)


@pytest.mark.parametrize("steps", ["100", "100,100"])
def test_a_walk_does_not_begin_at_100_percent(tmp_path, steps):
    with pytest.raises(UserError, match=r"cannot begin at 100 %.*--steps 25,100"):
        walk_to_resume(tmp_path / "cutover.json", "triage", read_steps(steps, 100.0))


def test_a_tail_waits_for_the_end_of_a_line(tmp_path):
    tail = CaptureTail(tmp_path, "triage", "")
    assert tail.new() == []
    line = exchange(1, prompt="p", service="s", model=None)
    file = tmp_path / "a.jsonl"
    file.write_text(line[:50])
    assert tail.new() == []
    with file.open("a") as opened:
        opened.write(line[50:] + "\n" + exchange(2, prompt="p", service="s", model=None))
    assert [found.id for found in tail.new()] == ["e00001"]
    with file.open("a") as opened:
        opened.write("\n")
    assert [found.id for found in tail.new()] == ["e00002"]


def test_a_copied_file_counts_once_and_a_damaged_line_is_named(tmp_path):
    lines = [exchange(n, prompt="p", service="s", model=None) for n in range(3)]
    (tmp_path / "a.jsonl").write_text("".join(f"{line}\n" for line in lines[:2]))
    tail = CaptureTail(tmp_path, "triage")
    assert len(tail.new()) == 2
    (tmp_path / "copy of a.jsonl").write_text("".join(f"{line}\n" for line in lines))
    assert [found.id for found in tail.new()] == ["e00002"]
    (tmp_path / "b.jsonl").write_text(f"{lines[0]}\n{lines[1][:90]}\n")
    with pytest.raises(UserError, match=r"b\.jsonl, line 2: "):
        tail.new()
