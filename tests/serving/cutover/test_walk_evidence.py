"""What a walk learns from the captured exchanges, and what it says where it learns nothing."""

import errno
import json
from pathlib import Path

import pytest

from core.captured import CapturedExchange
from core.errors import UserError
from core.reports.cutover import DONE
from serving.cutover import commands
from serving.cutover.pairs import is_healthy, why_unhealthy
from serving.cutover.tail import CaptureTail
from tests.serving.cutover.conftest import exchange


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


def test_a_service_that_answers_nothing_well_is_said_with_the_reason_until_it_does(walk):
    walk.traffic(10)
    walk.walk.look()
    for _ in range(3):
        walk.seconds += 7 * 60
        walk.traffic(4, served_by="model", reason="F11")
        assert walk.walk.look().step == "wait"
    said = [text for text in walk.said if "has answered no request well since" in text]
    assert len(said) == 1
    assert "the latest: the tuned model answered (F11)" in said[0]
    walk.traffic(10)
    assert "not yet" in walk.walk.look().why


def of_canary(walk, **values):
    """One exchange of a user of the canary that the service was asked for, too; the newest."""
    walk.traffic(1, served_by="none", **values)


def test_at_100_percent_no_answer_of_the_service_is_waited_for(walk):
    while walk.gateway.mode["canary_percent"] < 100:
        walk.traffic(200)
        walk.walk.look()
    of_canary(walk, reason="F6")
    for _ in range(20):
        walk.seconds += 16 * 60
        walk.traffic(50, served_by="model", reason="canary", service=None)
        walk.walk.look()
    assert walk.walk.report.status == DONE


@pytest.mark.parametrize(
    "reason", ["model_failed:client_left", "model_failed:F6", "client_left", "deadline"]
)
def test_what_the_model_or_the_caller_ended_says_nothing_of_the_service(walk, reason):
    walk.traffic(10)
    of_canary(walk, reason=reason)
    walk.walk.look()
    walk.seconds += 16 * 60
    walk.traffic(10, served_by="model", reason="canary", service=None)
    assert "has answered no request well" not in walk.walk.look().why


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({}, ""),
        ({"reason": "model_failed"}, ""),
        ({"served_by": "model", "reason": "F6"}, "the tuned model answered (F6)"),
        ({"served_by": "none", "reason": "client_left"}, "nobody answered (client_left)"),
        ({"reason": "F10"}, "the service's answer was faulty (F10)"),
        ({"service": None}, "the service's answer was refused, cut off or no text"),
        ({"status": 429}, "the service's answer was refused, cut off or no text (HTTP 429)"),
    ],
)
def test_why_nothing_can_be_learned_from_an_answer_of_the_service(values, why):
    line = json.loads(exchange(1, prompt="p", service="s", model=None))
    if "status" in values:
        line["service"] |= {"text": None, **values}
    else:
        line |= values
    found = CapturedExchange.from_json(json.dumps(line))
    assert (why_unhealthy(found), is_healthy(found)) == (why, not why)


def test_a_bad_model_goes_back_even_without_capture(walk):
    walk.gateway.alarms = [{"name": "capture", "text": "the disk is full", "since": ""}]
    walk.traffic(400, wrong=300)
    assert walk.walk.look().step == "go back"
    assert walk.gateway.mode["mode"] == "failover"


def test_a_capture_folder_that_is_away_for_a_while_ends_no_walk(walk, monkeypatch, capsys):
    away = [1, 1]
    opened = Path.open

    def looked_at(path, *arguments, **options):
        if away and path.parent == walk.folder and arguments == ("rb",) and "more" in path.name:
            away.pop()
            raise OSError(errno.ESTALE, "Stale file handle")
        return opened(path, *arguments, **options)

    walk.traffic(800)
    (walk.folder / "a first file.jsonl").write_text(
        exchange(1, prompt="p", service="s", model="m", id="only once") + "\n"
    )
    monkeypatch.setattr(Path, "open", looked_at)
    monkeypatch.setattr(commands.time, "sleep", lambda seconds: away or walk.traffic(800))
    commands._walk_on(walk.walk, 30)
    assert (away, walk.walk.report.status) == ([], DONE)
    assert "only once" in {each.id for each in walk.walk._walk}  # read before the other failed
    said = capsys.readouterr().out
    assert said.count("cannot be read: [Errno 116] Stale file handle. The walk resumes") == 1


def test_damaged_lines_end_no_walk_and_are_counted(walk):
    with (walk.folder / "bad.jsonl").open("wb") as file:
        file.write(b'{"id": 1}\n' + b"\xff\xfe\n" + b"\n")
    walk.traffic(800)
    assert walk.walk.look().step == "go on"
    assert walk.said.count("2 damaged lines of captured exchanges are skipped.") == 1
    walk.walk.look()
    assert len([text for text in walk.said if "damaged" in text]) == 1


def test_what_was_scored_is_not_scored_again(walk):
    walk.traffic(20)
    walk.walk.look()
    walk.walk.look()
    assert walk.scorer.scored == 10


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
