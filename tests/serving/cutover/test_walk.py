"""The walk from the service to the model: what each step has to show, and the ways back."""

import json
import re

import pytest

from core.errors import UserError
from core.reports.cutover import BACK, DONE, WALKING, CutoverReport
from serving.cutover.kept_walk import claim_walk, new_report, read_steps, walk_to_resume
from tests.serving.cutover.conftest import START, exchange
from tests.serving.cutover.walking import Walk


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


@pytest.mark.parametrize(
    ("traffic", "why"),
    [
        ({"milliseconds": 9000.0}, "95 % of the model's answers within 9,000 ms"),
        ({"canary": {"model": None, "served_by": "service", "reason": "model_failed:F11"}},
         "the model failed at"),
        ({"canary": {"model": None, "served_by": "none", "reason": "model_failed:deadline"}},
         "callers waited in vain where the model was asked"),
        ({"canary": {"model": None, "served_by": "none", "reason": "model:client_left"}},
         "callers waited in vain where the model was asked"),
    ],
    ids=["slow", "fails", "hangs, by the deadline", "hangs"],
)  # fmt: skip
def test_a_model_that_turns_slow_or_hangs_goes_back_by_itself(walk, traffic, why):
    while walk.walk.report.percent < 25:
        walk.traffic(200)
        walk.walk.look()
    for _ in range(20):
        walk.traffic(100, **traffic)
        if walk.walk.look().step == "go back":
            break
    assert (walk.walk.report.status, walk.gateway.mode["mode"]) == (BACK, "failover")
    assert why in walk.walk.report.events[-1].text


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


@pytest.mark.parametrize("steps", [[], [5, 1], [0, 5], [50, 101], [5, 5], [float("nan")]])
def test_steps_that_do_not_rise_are_refused(steps):
    with pytest.raises(UserError, match="must increase"):
        new_report("triage", steps, START)


def test_a_walk_ends_at_the_share_that_it_is_to_reach(preset_of):
    steps = read_steps("1,5,25,100", 25.0)
    walk = Walk(preset_of(), new_report("triage", steps, START))
    while walk.walk.report.status == WALKING:
        walk.traffic(200)
        walk.walk.look()
    assert (walk.walk.report.status, [1, 5, 25]) == (DONE, steps)
    assert [event.percent for event in walk.walk.report.events] == [1, 5, 25, 25]
    assert walk.gateway.mode == {"mode": "canary", "canary_percent": 25, "set_by": "cutover"}


@pytest.mark.parametrize("steps", ["100", "100,100"])
def test_a_walk_does_not_begin_at_100_percent(tmp_path, steps):
    with pytest.raises(UserError, match=r"cannot begin at 100 %.*--steps 25,100"):
        walk_to_resume(tmp_path / "cutover.json", "triage", read_steps(steps, 100.0))
