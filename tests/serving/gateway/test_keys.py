"""Keys: covered only where they worked before; kept as salted hashes; the gateway's own."""

import asyncio
import concurrent.futures
import errno
import json
import os
import threading
from pathlib import Path

import httpx
import pytest

from serving.gateway.keys import KnownKeys, credential
from tests.serving.gateway import fakes
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    MODEL_TEXT,
    SERVICE_TEXT,
    gemini_request,
)
from tests.serving.gateway.refused import DENIED, denied, denied_inside


@pytest.mark.parametrize(
    ("headers", "query", "key"),
    [
        ([(b"x-goog-api-key", b"a")], b"", b"a"),
        ([(b"authorization", b"Bearer b")], b"", b"b"),
        ([(b"api-key", b"c")], b"", b"c"),
        ([(b"accept", b"*/*")], b"alt=sse&key=d%2Fe", b"d/e"),
        ([(b"x-goog-api-key", b"")], b"key=f", b"f"),
        ([], b"", b""),
    ],
)
def test_the_key_of_a_request(headers, query, key):
    assert credential(headers, query).value == key


def look(keys: KnownKeys) -> None:
    """What a gateway does once a second."""
    if (found := keys.look()) is not None:
        keys.take_up(found)


def succeed(keys: KnownKeys, *hashed: str) -> None:
    for each in hashed:
        keys.record_success(each)
    look(keys)


def test_hashes_are_salted_and_kept_over_restarts(tmp_path):
    first = KnownKeys(tmp_path)
    hashed = first.hash(b"secret")
    succeed(first, hashed)
    assert KnownKeys(tmp_path).has_succeeded(hashed)
    assert KnownKeys(tmp_path).hash(b"secret") == hashed
    assert KnownKeys().hash(b"secret") != hashed
    file = tmp_path / "keys.json"
    assert {each.name for each in tmp_path.iterdir()} == {"keys.json", "keys.lock"}
    assert "secret" not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damage", ["{half", "[]", '{"salt": "xyz", "keys": []}', ""])
def test_a_damaged_file_of_hashes_is_begun_again(tmp_path, damage):
    (tmp_path / "keys.json").write_text(damage)
    keys = KnownKeys(tmp_path)
    succeed(keys, keys.hash(b"secret"))
    assert KnownKeys(tmp_path).has_succeeded(keys.hash(b"secret"))


def test_a_disk_that_is_full_keeps_the_hashes_in_memory(tmp_path):
    (tmp_path / "file").touch()
    keys = KnownKeys(tmp_path / "file" / "folder")
    succeed(keys, "hash")
    assert keys.has_succeeded("hash")
    assert "keys.json' cannot be read and written (" in keys.problem
    (tmp_path / "file").unlink()
    look(keys)
    assert keys.problem == ""
    assert KnownKeys(tmp_path / "file" / "folder").has_succeeded("hash")


@pytest.mark.parametrize("fails", ["stat", "read_bytes"])
@pytest.mark.parametrize("is_started", [True, False])
def test_a_file_that_cannot_be_read_for_a_while_keeps_what_others_wrote(
    tmp_path, monkeypatch, fails, is_started
):
    other = KnownKeys(tmp_path)
    succeed(other, "theirs")
    keys = KnownKeys(tmp_path) if is_started else None

    def stale(path, **options):
        raise OSError(errno.ESTALE, "Stale file handle")

    with monkeypatch.context() as patch:
        patch.setattr(Path, fails, stale)
        keys = keys or KnownKeys(tmp_path)
        succeed(keys, "ours")
        assert keys.has_succeeded("ours")
        assert "Stale file handle" in keys.problem
    look(keys)
    assert keys.has_succeeded("theirs")
    succeed(keys, "ours")
    look(other)
    assert all(other.has_succeeded(each) for each in ("theirs", "ours"))
    assert keys.hash(b"a key") == other.hash(b"a key")


def test_a_key_that_worked_before_the_file_could_be_read_is_not_forgotten(tmp_path, monkeypatch):
    other = KnownKeys(tmp_path)
    succeed(other, other.hash(b"theirs"))

    def stale(path):
        raise OSError(errno.ESTALE, "Stale file handle")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", stale)
        keys = KnownKeys(tmp_path)
        succeed(keys, keys.hash(b"ours"))
    look(keys)
    assert not keys.has_succeeded(keys.hash(b"a stranger's"))
    assert keys.has_succeeded(keys.hash(b"ours"))
    for _ in range(2):
        look(keys)
        look(other)
    assert other.has_succeeded(other.hash(b"ours"))
    assert keys.has_succeeded(keys.hash(b"theirs"))


def test_a_file_that_was_begun_again_is_begun_again_by_every_gateway(tmp_path):
    one = KnownKeys(tmp_path)
    succeed(one, "before")
    (tmp_path / "keys.json").unlink()
    other = KnownKeys(tmp_path)
    look(one)
    assert one.hash(b"a key") == other.hash(b"a key")
    assert not one.has_succeeded("before")
    succeed(one, "ours")
    succeed(other, "theirs")
    restarted = KnownKeys(tmp_path)
    assert all(restarted.has_succeeded(each) for each in ("ours", "theirs"))


def test_gateways_that_write_at_the_same_moment_lose_no_key(tmp_path):
    gateways = [KnownKeys(tmp_path) for _ in range(4)]
    assert len({each.hash(b"a key") for each in gateways}) == 1
    begin = threading.Barrier(len(gateways))

    def write(number):
        begin.wait()
        for turn in range(25):
            succeed(gateways[number], f"{number}/{turn}")

    with concurrent.futures.ThreadPoolExecutor(len(gateways)) as threads:
        list(threads.map(write, range(len(gateways))))
    known = KnownKeys(tmp_path)
    assert all(known.has_succeeded(f"{i}/{turn}") for i in range(4) for turn in range(25))


def test_no_answer_waits_for_the_folder_of_the_keys_and_the_alarm_says_that_it_fails(
    servers, tmp_path, monkeypatch
):
    monkeypatch.setattr("serving.gateway.jobs._LOOK_SECONDS", 0.01)
    servers.start(state_dir=tmp_path)
    answers = threading.Event()
    write = os.open

    def hang(path, *arguments):
        if "keys." in str(path):
            answers.wait(30)
            raise OSError(errno.EIO, "Input/output error")
        return write(path, *arguments)

    monkeypatch.setattr("serving.gateway.keys.os.open", hang)
    try:
        assert servers.ask("gemini", stream=False) == SERVICE_TEXT
        servers.key = "another"
        assert servers.ask("gemini", stream=False) == SERVICE_TEXT
        servers.service.behavior = denied
        assert servers.ask("gemini", stream=False) == MODEL_TEXT
    finally:
        answers.set()
    metric = 'understudy_alarm{name="keys"}'
    servers.wait_until(lambda: f"{metric} 1.0" in metrics(servers))
    monkeypatch.setattr("serving.gateway.keys.os.open", write)
    servers.wait_until(lambda: f"{metric} 0.0" in metrics(servers))


def metrics(servers) -> str:
    return httpx.get(f"{servers.url}/understudy/metrics").text


def test_a_new_key_is_written_before_the_next_look(servers, tmp_path, monkeypatch):
    monkeypatch.setattr("serving.gateway.jobs._LOOK_SECONDS", 3600)
    servers.start(state_dir=tmp_path)
    file = tmp_path / "keys.json"
    for number in (1, 2):
        servers.key = f"key {number}"
        assert servers.ask("gemini", stream=False) == SERVICE_TEXT
        servers.wait_until(lambda count=number: len(json.loads(file.read_text())["keys"]) == count)


def test_a_key_that_succeeded_just_before_the_end_is_kept(servers, tmp_path, monkeypatch):
    monkeypatch.setattr("serving.gateway.jobs._LOOK_SECONDS", 3600)
    servers.start(state_dir=tmp_path)
    assert servers.ask("gemini", stream=False) == SERVICE_TEXT
    servers.service.behavior = denied
    servers.restart(state_dir=tmp_path)
    assert servers.ask("gemini", stream=False) == MODEL_TEXT


@pytest.mark.parametrize("behavior", [denied, denied_inside])
def test_a_refused_key_is_covered_only_where_it_worked_before(servers, behavior, capfd):
    servers.start()
    assert servers.ask("gemini", stream=False) == SERVICE_TEXT
    known = servers.key
    servers.service.behavior = behavior
    for key in ("never seen", "never seen", ""):
        answer = httpx.post(
            servers.url + GEMINI_PATH, json=gemini_request(), headers={"x-goog-api-key": key}
        )
        assert answer.content == DENIED
        assert answer.headers["x-understudy-served-by"] == "service"
    assert servers.model.received == []
    assert "alarm" not in capfd.readouterr().err
    servers.key = known
    assert servers.ask("gemini", stream=False) == MODEL_TEXT
    alarm = capfd.readouterr().err
    assert "raised" in alarm
    assert "a key that worked before" in alarm


def test_the_alarm_of_a_key_ends_when_it_works_again(servers, capfd):
    servers.start()
    servers.ask("gemini", stream=False)
    servers.service.behavior = denied
    servers.ask("gemini", stream=False)
    servers.service.behavior = fakes.healthy(SERVICE_TEXT)
    servers.clock.now += 1
    assert servers.ask("gemini", stream=False) == SERVICE_TEXT
    servers.took(3)
    assert "cleared: the service accepts the key again" in capfd.readouterr().err


def test_a_deadline_of_no_time_gets_nobody_past_the_services_refusal(servers):
    async def slow_refusal(request, reply):
        await asyncio.sleep(0.3)
        await reply.whole(DENIED, 403)

    servers.start(servers.settings(first_byte_seconds="auto"))
    servers.service.behavior = slow_refusal
    headers = {"x-goog-api-key": "never seen", "x-stainless-read-timeout": "0.01"}
    answer = httpx.post(servers.url + GEMINI_PATH, json=gemini_request(), headers=headers)
    assert answer.status_code == 403
    assert servers.model.received == []


def test_gateways_of_one_folder_share_the_salt_and_lose_no_key(tmp_path):
    first, second = KnownKeys(tmp_path), KnownKeys(tmp_path)
    assert first.hash(b"key") == second.hash(b"key")
    succeed(first, "a")
    succeed(second, "b")
    succeed(first, "c")
    restarted = KnownKeys(tmp_path)
    assert all(restarted.has_succeeded(hashed) for hashed in "abc")


def test_the_key_that_was_unused_for_longest_is_forgotten_first(monkeypatch):
    monkeypatch.setattr("serving.gateway.keys._MAX_KEYS", 2)
    keys = KnownKeys()
    for hashed in ("in use", "token 1", "in use", "token 2"):
        keys.record_success(hashed)
    assert keys.has_succeeded("in use")
    assert not keys.has_succeeded("token 1")


def test_gateways_of_one_folder_know_each_others_keys(tmp_path):
    one, other = KnownKeys(tmp_path), KnownKeys(tmp_path)
    key = one.hash(b"a key")
    succeed(other, other.hash(b"another key"))
    succeed(one, key)
    assert not other.has_succeeded(key)
    look(other)
    assert other.has_succeeded(key)
    assert other.has_succeeded(other.hash(b"another key"))
    assert other.look() is None
