"""The mode that is kept: over restarts, by several gateways, and where a disk is full or hangs."""

import asyncio
import concurrent.futures
import errno
import functools
import json
import re
import shutil
import threading
from pathlib import Path

import httpx
import pytest

from core.errors import UserError
from serving.commands import _mode
from serving.gateway.alarms import Alarms
from serving.gateway.kept_alarms import KeptAlarms
from serving.gateway.keys import KnownKeys
from serving.gateway.modes import Modes
from serving.gateway.shared_files import SharedFiles
from serving.running import RefusedError, RunningGateway
from tests.html_page import plain
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    gemini_request,
)
from tests.serving.gateway.test_modes import change, served


def test_the_mode_is_kept_over_restarts(servers, tmp_path):
    servers.start(state_dir=tmp_path)
    port = int(servers.url.rpartition(":")[2])
    gateway = RunningGateway(port)
    assert gateway.status()["mode"]["mode"] == "failover"
    assert gateway.post("mode", {"mode": "canary", "canary_percent": 12.5})["mode"] == "canary"
    for mode, problem in (
        ("quick", "choose one of failover, shadow"),
        ("shadow", "serving.capture"),
    ):
        with pytest.raises(RefusedError, match=problem):
            gateway.post("mode", {"mode": mode})
    with pytest.raises(RefusedError, match="run `understudy confidence`"):
        gateway.post("mode", {"mode": "cascade"})
    text = httpx.get(f"{servers.url}/understudy/metrics").text
    assert 'understudy_mode{mode="canary"} 1.0' in text
    assert "understudy_canary_percent 12.5" in text
    assert "12.5 % of the users" in plain(httpx.get(f"{servers.url}/understudy/").text)
    servers.restart(state_dir=tmp_path)
    status = httpx.get(f"{servers.url}/understudy/status").json()["mode"]
    assert (status["mode"], status["canary_percent"]) == ("canary", 12.5)


def full_disk(folder, monkeypatch):
    monkeypatch.setattr("secrets.token_hex", lambda size: "a")
    (folder / "mode.a.part").symlink_to("/dev/full")


def no_folder(folder, monkeypatch):
    shutil.rmtree(folder, ignore_errors=True)
    folder.touch()


@pytest.mark.parametrize("breaks", [full_disk, no_folder])
def test_the_way_back_to_the_service_needs_no_disk(servers, tmp_path, breaks, monkeypatch):
    state = tmp_path / "state"
    settings = servers.settings(mode="canary", canary_percent=100)
    servers.start(settings, state_dir=state)
    assert change(servers, "canary", canary_percent=100).json()["warning"] == ""
    for mode in ("canary", "private"):  # nobody is told that these hold
        breaks(state, monkeypatch)
        refused = change(servers, mode, canary_percent=50)
        assert (refused.status_code, "cannot be written" in refused.text) == (409, True)
    assert served(servers.post(GEMINI_PATH, gemini_request())) == ("model", "canary")

    breaks(state, monkeypatch)
    port = int(servers.url.rpartition(":")[2])
    said = _mode(RunningGateway(port), "failover", None)
    assert re.search(r"mode is failover, .* Warning: .*state.*until the gateway restarts", said)
    assert served(servers.post(GEMINI_PATH, gemini_request())) == ("service", "ok")
    raised = httpx.get(f"{servers.url}/understudy/status").json()["alarms"]
    alarms = {alarm["name"]: alarm["text"] for alarm in raised}
    assert alarms.keys() <= {"mode", "keys"}
    assert "until the gateway restarts" in alarms["mode"]

    if state.is_file():
        state.unlink()
    assert change(servers, "failover").json()["warning"] == ""
    assert httpx.get(f"{servers.url}/understudy/status").json()["alarms"] == []


def modes_of(servers, folder, **settings) -> Modes:
    return Modes(servers.settings(**settings), lambda: [servers.task()], folder)


def look(modes: Modes) -> None:
    if (found := modes.look()) is not None:
        modes.take_up(found)


def test_gateways_of_one_folder_have_one_mode(servers, tmp_path):
    one, other = (modes_of(servers, tmp_path) for _ in range(2))
    seen = []
    other.watch(lambda state: seen.append(state.mode))
    for mode, percent in (("canary", 25), ("canary", 100), ("failover", 0)):
        one.change(mode, percent)
        look(other)
        assert (other.current, other.look()) == (one.current, None)
    assert seen == ["failover", "canary", "canary", "failover"]
    assert one.look() is None


def test_what_was_read_before_the_mode_was_changed_here_does_not_undo_the_change(servers, tmp_path):
    one, other = (modes_of(servers, tmp_path) for _ in range(2))
    other.change("canary", 25)
    found = one.look()

    async def change():
        files = concurrent.futures.ThreadPoolExecutor(1)
        in_thread = functools.partial(asyncio.get_running_loop().run_in_executor, files)
        await one.change_beside(in_thread, "failover")

    asyncio.run(change())
    one.take_up(found)
    assert one.current.mode == "failover"


def test_a_look_at_the_mode_is_one_after_what_another_look_has_read(servers, tmp_path):
    one, other = (modes_of(servers, tmp_path) for _ in range(2))
    is_past, may_end = threading.Event(), threading.Event()
    alarms = Alarms(None, lambda name, is_raised: None)
    known = KnownKeys()

    def waits_for_a_lock():
        is_past.set()
        may_end.wait(30)

    known.look = waits_for_a_lock

    async def changed():
        files = SharedFiles(one, known, KeptAlarms(None, alarms), alarms)
        first = asyncio.create_task(files.look())
        await asyncio.to_thread(is_past.wait, 30)
        other.change("canary", 25)
        second = asyncio.create_task(files.look_at_mode())
        await asyncio.sleep(0)
        may_end.set()
        await second
        assert one.current == other.current
        await first
        await files.close()

    asyncio.run(changed())


def test_a_gateway_follows_the_mode_that_another_one_has_set(servers, tmp_path, monkeypatch):
    monkeypatch.setattr("serving.gateway.jobs._LOOK_SECONDS", 0.01)
    servers.start(state_dir=tmp_path)
    another = modes_of(servers, tmp_path)
    another.change("canary", 100)
    servers.wait_until(
        lambda: served(servers.post(GEMINI_PATH, gemini_request())) == ("model", "canary")
    )


def test_what_another_gateway_has_set_counts_at_once_where_the_mode_is_changed(servers, tmp_path):
    servers.start(state_dir=tmp_path)
    modes_of(servers, tmp_path).change("canary", 25)
    refused = change(
        servers, "canary", canary_percent=100, expected={"mode": "canary", "canary_percent": 5}
    )
    assert (refused.status_code, "The mode is canary (25 %)" in refused.text) == (409, True)


def test_a_mode_that_this_gateway_cannot_use_is_a_warning(servers, tmp_path):
    one = modes_of(servers, tmp_path, mode="canary")
    modes_of(servers, tmp_path, capture=True).change("shadow")
    look(one)
    assert one.current.mode == "canary"
    assert "serving.capture to true. This gateway stays in the mode canary" in one.warning


@pytest.mark.parametrize(("mode", "then"), [("canary", "failover"), ("private", "private")])
def test_without_its_file_a_gateway_goes_back_but_never_out_of_private(
    servers, tmp_path, mode, then
):
    one, other = (modes_of(servers, tmp_path) for _ in range(2))
    one.change(mode)
    look(other)
    (tmp_path / "mode.json").unlink()
    look(other)
    assert other.current.mode == then


def test_the_way_back_that_could_not_be_written_is_not_undone_by_the_file(
    servers, tmp_path, monkeypatch
):
    one = modes_of(servers, tmp_path, mode="canary")
    one.change("canary", 100)
    full_disk(tmp_path, monkeypatch)
    one.change("failover")
    look(one)
    assert (one.current.mode, bool(one.warning)) == ("failover", True)


class Folder:
    """A folder on another machine that does not answer for a while."""

    def __init__(self, folder, monkeypatch):
        self.is_away = False
        stat = Path.stat

        def looked_at(path, **options):
            if self.is_away and folder in path.parents:
                raise OSError(errno.ESTALE, "Stale file handle")
            return stat(path, **options)

        monkeypatch.setattr(Path, "stat", looked_at)


def test_a_folder_that_nobody_can_look_at_for_a_while_changes_no_mode(
    servers, tmp_path, monkeypatch
):
    one, other = (modes_of(servers, tmp_path) for _ in range(2))
    one.change("canary", 25)
    look(other)
    folder = Folder(tmp_path, monkeypatch)
    folder.is_away = True
    look(other)
    assert (other.current, other.warning) == (one.current, "")
    folder.is_away = False
    one.change("canary", 100)
    look(other)
    assert other.current == one.current


class Hanging:
    """A folder on another machine whose calls do not come back until `release`."""

    def __init__(self, folder, monkeypatch):
        self._answers = threading.Event()
        stat, mkdir = Path.stat, Path.mkdir

        def looked_at(path, **options):
            if folder in path.parents:
                self._answers.wait(30)
            return stat(path, **options)

        def made(path, *arguments, **options):
            if path == folder:
                self._answers.wait(30)
            return mkdir(path, *arguments, **options)

        monkeypatch.setattr(Path, "stat", looked_at)
        monkeypatch.setattr(Path, "mkdir", made)
        monkeypatch.setattr("serving.gateway.shared_files._LOOK_SECONDS", 0.05)
        monkeypatch.setattr("serving.gateway.modes._WRITE_SECONDS", 0.05)

    def release(self):
        self._answers.set()


def test_the_way_back_waits_for_no_folder_that_hangs(servers, tmp_path, monkeypatch):
    servers.start(servers.settings(mode="canary", canary_percent=100), state_dir=tmp_path)
    folder = Hanging(tmp_path, monkeypatch)
    try:
        for _ in range(12):  # more than the threads that the event loop has for everybody
            status = httpx.get(f"{servers.url}/understudy/status").json()
        assert status["mode"]["mode"] == "canary"
        refused = change(servers, "private")
        assert (refused.status_code, "has not answered" in refused.text) == (409, True)
        assert served(servers.post(GEMINI_PATH, gemini_request())) == ("model", "canary")
        back = change(servers, "failover").json()
        assert (back["mode"], "until the gateway restarts" in back["warning"]) == ("failover", True)
        assert served(servers.post(GEMINI_PATH, gemini_request())) == ("service", "ok")
    finally:
        folder.release()
    servers.wait_until((tmp_path / "mode.json").is_file)
    servers.wait_until(lambda: not servers.app._gateway.modes.warning)  # it is kept by now
    assert modes_of(servers, tmp_path, mode="canary", canary_percent=100).current.mode == "failover"


def test_a_later_change_overtakes_one_whose_disk_hangs(servers, tmp_path, monkeypatch):
    servers.start(state_dir=tmp_path)
    folder = Hanging(tmp_path, monkeypatch)
    monkeypatch.setattr("serving.gateway.modes._WRITE_SECONDS", 30)
    with concurrent.futures.ThreadPoolExecutor(2) as clients:
        first = clients.submit(change, servers, "canary", canary_percent=25)
        servers.wait_until(lambda: servers.app._gateway.modes._writing is not None)
        second = clients.submit(change, servers, "failover")
        servers.wait_until(lambda: servers.app._gateway.modes._turn == 2)
        folder.release()
        refused, back = first.result(), second.result()
    assert (refused.status_code, "in the meantime" in refused.text) == (409, True)
    assert (back.status_code, back.json()["warning"]) == (200, "")
    assert json.loads((tmp_path / "mode.json").read_text())["mode"] == "failover"


def test_a_failure_of_the_look_hides_no_status(servers, monkeypatch):
    servers.start()

    def fail():
        raise RuntimeError("a fault of its own")

    monkeypatch.setattr(servers.app._gateway.alarms, "age_out", fail)
    assert httpx.get(f"{servers.url}/understudy/status").json()["mode"]["mode"] == "failover"
    assert change(servers, "canary", canary_percent=5).json()["mode"] == "canary"


def test_a_gateway_looks_around_after_any_failure(servers, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("serving.gateway.jobs._LOOK_SECONDS", 0.01)
    servers.start(state_dir=tmp_path)
    failed = []

    def fail():
        failed.append(1)
        raise RuntimeError("a fault of its own")

    with monkeypatch.context() as patch:
        patch.setattr(servers.app._gateway.alarms, "age_out", fail)
        servers.wait_until(lambda: len(failed) > 1)
    modes_of(servers, tmp_path).change("canary", 100)
    servers.wait_until(lambda: servers.app._gateway.modes.current.mode == "canary")
    assert "RuntimeError at" in capfd.readouterr().err


def test_gateways_with_one_process_id_write_their_own_parts(servers, tmp_path, monkeypatch):
    """As in containers that share a volume."""
    written = []
    replace = Path.replace
    monkeypatch.setattr(Path, "replace", lambda p, to: written.append(p.name) or replace(p, to))
    for modes in (modes_of(servers, tmp_path) for _ in range(2)):
        modes.change("canary", 25)
    for keys in (KnownKeys(tmp_path) for _ in range(2)):
        keys.record_success(keys.hash(written[-1].encode()))
        keys.take_up(keys.look())
    assert len(set(written)) == len(written) == 5


@pytest.mark.parametrize(
    ("edited", "mode"),
    [
        ({}, "canary of 25 %"),
        ({"canary_percent": 10}, "canary of 25 %"),
        ({"mode": "private"}, "private"),
        ({"mode": "canary", "canary_percent": 10}, "canary of 10 %"),
    ],
)
def test_an_edited_preset_is_the_later_word(servers, tmp_path, edited, mode):
    modes_of(servers, tmp_path).change("canary", 25)
    again = modes_of(servers, tmp_path, **edited)
    assert (str(again.current), again.warning) == (mode, "")
    assert again.said.startswith(f"The mode is {mode}, ")


def test_the_mode_says_who_has_set_it(servers, tmp_path):
    modes = modes_of(servers, tmp_path)
    assert modes.said == "The mode is failover, the preset's."
    state = modes.change("canary", 25)
    said = f"canary of 25 %, set by serve mode at {state.since}; the preset's is failover."
    assert modes_of(servers, tmp_path).said == f"The mode is {said}"


def test_a_kept_mode_that_cannot_be_used_any_more_starts_in_failover(servers, tmp_path):
    """As a cascade whose threshold belonged to the model before."""
    sure = servers.task(measures_confidence=True, min_confidence=-0.2)
    Modes(servers.settings(), lambda: [sure], tmp_path).change("cascade")
    servers.start(state_dir=tmp_path)
    status = httpx.get(f"{servers.url}/understudy/status").json()
    assert status["mode"]["mode"] == "failover"
    [alarm] = status["alarms"]
    assert (alarm["name"], "failover, not cascade" in alarm["text"]) == ("mode", True)
    assert Modes(servers.settings(), lambda: [sure], tmp_path).current.mode == "cascade"


def test_private_that_cannot_be_used_any_more_is_no_other_mode(servers, tmp_path):
    """As one whose model moved to another machine."""
    modes_of(servers, tmp_path).change("private")
    moved = servers.task(base_url="http://10.0.0.9:8000/v1")
    with pytest.raises(UserError, match=r"'private' would send personal data to '10\.0\.0\.9'"):
        Modes(servers.settings(), lambda: [moved], tmp_path)


def test_on_a_full_disk_the_presets_mode_is_kept_by_no_file(servers, tmp_path, monkeypatch):
    servers.start(state_dir=tmp_path)
    assert change(servers, "canary", canary_percent=100).status_code == 200
    full_disk(tmp_path, monkeypatch)
    assert change(servers, "failover").json()["warning"] == ""
    servers.restart(state_dir=tmp_path)
    assert httpx.get(f"{servers.url}/understudy/status").json()["mode"]["mode"] == "failover"
