import asyncio
import datetime
import errno
import os
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from serving.capture import capture as capture_module
from serving.capture import folder as folder_module
from serving.capture.capture import Capture
from serving.capture.expiry import Expiry
from serving.capture.folder import CaptureFolder
from serving.capture.settings import CaptureSettings
from serving.settings import ServingSettings

START = datetime.datetime(2026, 11, 1, 23, 59, tzinfo=datetime.UTC)


class Calendar:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now

    def seconds(self):
        return self.now.timestamp()


def contents(path):
    return [file.read_text() for file in sorted(path.iterdir())]


def test_a_file_is_followed_by_another_at_its_limit_and_every_day(tmp_path):
    calendar = Calendar()
    folder = CaptureFolder(tmp_path, max_file_bytes=8, now=calendar)
    for line in (b"first\n", b"second\n", b"third\n"):
        folder.append(line)
    calendar.now += datetime.timedelta(minutes=2)
    folder.append(b"tomorrow\n")
    assert sorted(contents(tmp_path)) == ["first\nsecond\n", "third\n", "tomorrow\n"]
    assert {oct(file.stat().st_mode & 0o777) for file in tmp_path.iterdir()} == {"0o600"}


def test_old_files_are_deleted_and_those_of_others_kept(tmp_path):
    calendar = Calendar()
    others = tmp_path / "notes.jsonl"
    others.write_text("mine\n")
    (tmp_path / "2026-99-99T000000Z-00000000.jsonl").write_text("no date\n")
    folder = CaptureFolder(tmp_path, max_file_bytes=1, now=calendar)
    for day in range(5):
        folder.append(f"day {day}\n".encode())
        calendar.now += datetime.timedelta(days=1)
    folder.close()
    Expiry([tmp_path], retention_days=2, now=calendar).delete_old()
    assert sorted(contents(tmp_path)) == ["day 3\n", "day 4\n", "mine\n", "no date\n"]


def test_no_line_outlives_its_days_though_requests_never_stop(tmp_path):
    """A file of retention_days: 1 was once kept for 48 hours."""
    calendar = Calendar()
    calendar.now = START.replace(hour=0, minute=0)
    folder = CaptureFolder(tmp_path, max_file_bytes=1000, now=calendar)
    expiry = Expiry([tmp_path], 1, now=calendar, clock=calendar.seconds)
    for hour in range(49):
        folder.append(f"{hour}\n".encode())
        expiry.look()
        expiry._thread.join()
        calendar.now += datetime.timedelta(hours=1)
        lines = [int(line) for text in contents(tmp_path) for line in text.split()]
        assert min(lines) >= hour - 24, lines
        assert hour in lines


def test_a_folder_that_hangs_is_looked_at_once(tmp_path, monkeypatch):
    is_free, looked = threading.Event(), []

    def hang(folder):
        looked.append(folder)
        is_free.wait(30)
        return iter(())

    monkeypatch.setattr(Path, "iterdir", hang)
    now = [0.0]
    expiry = Expiry([tmp_path], 1, clock=lambda: now[0])
    for seconds in (0.0, 4000.0, 8000.0):
        now[0] = seconds
        expiry.look()
    is_free.set()
    expiry._thread.join()
    assert looked == [tmp_path]


def test_a_salt_is_made_once_and_read_by_its_owner_only(tmp_path):
    first, second = (CaptureFolder(tmp_path / "capture", 1000) for _ in range(2))
    assert first.salt() == second.salt() == CaptureFolder(tmp_path / "capture", 1).salt()
    assert len(first.salt()) == 32
    [file] = (tmp_path / "capture").iterdir()
    assert (file.name, oct(file.stat().st_mode & 0o777)) == (".salt", "0o600")
    other = tmp_path / "other"
    other.mkdir()
    (other / ".salt").touch()  # damaged: without a key the hash would have no salt
    assert len(CaptureFolder(other, 1).salt()) == 32
    assert CaptureFolder(other, 1).salt() != first.salt()


def test_a_deleted_file_is_followed_by_another(tmp_path):
    folder = CaptureFolder(tmp_path / "capture", max_file_bytes=1000)
    folder.append(b"lost\n")
    next((tmp_path / "capture").iterdir()).unlink()
    folder.append(b"kept\n")
    assert contents(tmp_path / "capture") == ["kept\n"]


def test_a_line_that_does_not_fit_on_the_disk_leaves_no_half(tmp_path, monkeypatch):
    real = os.write

    def write(file, data):
        if len(data) < 6:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(file, data[: len(data) // 2])

    folder = CaptureFolder(tmp_path, max_file_bytes=1000)
    folder.append(b"whole\n")
    monkeypatch.setattr(folder_module.os, "write", write)
    with pytest.raises(OSError, match="No space"):
        folder.append(b"a line that is too long\n")
    monkeypatch.undo()
    folder.append(b"after\n")
    assert contents(tmp_path) == ["whole\nafter\n"]


async def until(is_true):
    for _ in range(3000):
        if is_true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never was")


@pytest.mark.parametrize("full_by", ["count", "size"])
def test_what_cannot_be_written_in_time_is_dropped_and_counted_and_told_once(
    tmp_path, monkeypatch, full_by
):
    """The queue runs full and empties every five seconds, then no more."""
    is_free = threading.Event()
    monkeypatch.setattr(capture_module, "_size", lambda content: 1)
    monkeypatch.setattr(capture_module.Capture, "_line", lambda self, each, salt: f"{each.id}\n")
    if full_by == "size":
        monkeypatch.setattr(capture_module, "_MAX_CHARACTERS", 3)
    append = CaptureFolder.append

    def wait(self, lines):
        is_free.wait(30)
        append(self, lines)

    monkeypatch.setattr(CaptureFolder, "append", wait)
    dropped, said, now = [], [], [0.0]
    queue_length = 3 if full_by == "count" else 100
    settings = CaptureSettings(enabled=True, folder=str(tmp_path), queue_length=queue_length)

    async def fill():
        capture = Capture(settings, tmp_path, dropped.append, said.append, lambda: now[0])
        for cycle in range(4):
            is_free.clear()
            for number in range(5):
                capture.put(SimpleNamespace(id=number, content="text"))
            is_free.set()
            written = 3 * (cycle + 1)
            await until(lambda expected=written: capture._taken == expected)
            await asyncio.sleep(0)  # what the writer said is heard
            now[0] += 5
        assert said == [f"{tmp_path} is written more slowly than exchanges come"]
        now[0] += 5
        capture.put(SimpleNamespace(id=9, content="text"))
        await capture.close()
        await asyncio.sleep(0)

    asyncio.run(fill())
    assert sum(dropped) == 8
    assert said[1:] == [None]
    assert "".join(file.read_text() for file in tmp_path.glob("*.jsonl")) == "0\n1\n2\n" * 4 + "9\n"


def test_an_exchange_that_cannot_be_written_down_raises_the_alarm_until_others_are(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(capture_module, "_size", lambda content: 1)
    monkeypatch.setattr(capture_module, "captured", lambda exchange, content, salt: content)
    dropped, said, now = [], [], [0.0]
    well, ill = SimpleNamespace(to_json=lambda: "{}"), SimpleNamespace()
    settings = CaptureSettings(enabled=True, folder=str(tmp_path))

    async def fill():
        capture = Capture(settings, tmp_path, dropped.append, said.append, lambda: now[0])
        capture._start()
        for content in (well, ill, well, ill, well):
            capture._write([SimpleNamespace(id=1, content=content)])
            await asyncio.sleep(0)
            now[0] += 6
        assert said == ["1 of 1 exchanges cannot be written down"]
        capture._write([SimpleNamespace(id=1, content=ill)])
        await asyncio.sleep(0)
        now[0] += 11
        assert said[1:] == []
        capture._write([SimpleNamespace(id=1, content=well)])
        await asyncio.sleep(0)
        await capture.close()

    asyncio.run(fill())
    assert dropped == [1, 1, 1]
    assert said[1:] == [None]


def test_the_alarm_ends_though_nothing_is_captured_any_more(tmp_path, monkeypatch):
    monkeypatch.setattr(capture_module, "_CALM_SECONDS", 0.05)
    monkeypatch.setattr(capture_module, "_size", lambda content: 1)
    monkeypatch.setattr(capture_module, "captured", lambda exchange, content, salt: content)
    said = []
    well, ill = SimpleNamespace(to_json=lambda: "{}"), SimpleNamespace()
    settings = CaptureSettings(enabled=True, folder=str(tmp_path))

    async def fill():
        capture = Capture(settings, tmp_path, lambda count: None, said.append)
        capture._start()
        capture._write([SimpleNamespace(id=1, content=ill)])
        await asyncio.sleep(0.2)
        assert len(said) == 1, "nothing has been written since"
        capture._write([SimpleNamespace(id=1, content=ill)])
        capture._write([SimpleNamespace(id=1, content=well)])
        await until(lambda: len(said) == 2)
        await capture.close()

    asyncio.run(fill())
    assert said[1] is None


def test_capture_is_off_unless_it_is_set():
    assert not ServingSettings().capture.enabled
    assert ServingSettings(capture=True).capture == CaptureSettings(enabled=True)
    assert ServingSettings(capture={"enabled": True, "retention_days": 7}).capture.enabled


def test_what_an_earlier_gateway_left_is_deleted_without_a_request(tmp_path):
    old, new = (tmp_path / f"{day}T000000Z-00000000.jsonl" for day in ("2020-01-01", "2999-01-01"))
    old.touch()
    new.touch()
    Expiry([tmp_path], CaptureSettings().retention_days).delete_old()
    assert list(tmp_path.iterdir()) == [new]
