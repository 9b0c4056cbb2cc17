"""Keys: covered only where they worked before; kept as salted hashes; the gateway's own."""

import asyncio
import socket

import httpx
import pytest

from core.errors import UserError
from serving.gateway.app import create_app
from serving.gateway.keys import KnownKeys, credential
from serving.settings import ServingSettings
from tests.serving.gateway import fakes
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    MODEL_TEXT,
    SERVICE_TEXT,
    gemini_request,
    openai_request,
)

DENIED = b'{"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED"}}'


async def denied(request, reply):
    await reply.whole(DENIED, 403)


async def denied_inside(request, reply):
    await reply.whole(DENIED)


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


def test_hashes_are_salted_and_kept_over_restarts(tmp_path):
    first = KnownKeys(tmp_path)
    hashed = first.hash(b"secret")
    first.record_success(hashed)
    assert KnownKeys(tmp_path).has_succeeded(hashed)
    assert KnownKeys(tmp_path).hash(b"secret") == hashed
    assert KnownKeys().hash(b"secret") != hashed
    [file] = tmp_path.iterdir()
    assert "secret" not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damage", ["{half", "[]", '{"salt": "xyz", "keys": []}', ""])
def test_a_damaged_file_of_hashes_is_begun_again(tmp_path, damage):
    (tmp_path / "keys.json").write_text(damage)
    keys = KnownKeys(tmp_path)
    keys.record_success(keys.hash(b"secret"))
    assert KnownKeys(tmp_path).has_succeeded(keys.hash(b"secret"))


def test_a_disk_that_is_full_keeps_the_hashes_in_memory(tmp_path):
    (tmp_path / "file").touch()
    keys = KnownKeys(tmp_path / "file" / "folder")
    keys.record_success("hash")
    assert keys.has_succeeded("hash")


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


# ---- tokens that change every hour ---------------------------------------------------------------

VERTEX_PATH = "/v1/projects/{}/locations/europe-west4/publishers/google/models/gemini-x"
OWN_KEY = "open sesame"


@pytest.fixture
def with_own_key(servers, monkeypatch):
    """A gateway with a key of its own on this machine, whose service refuses most tokens."""
    monkeypatch.setenv("GATEWAY_KEY", OWN_KEY)
    healthy = fakes.healthy(SERVICE_TEXT)
    servers.good_tokens = {"first"}

    async def behave(request, reply):
        is_good = request.header("authorization").removeprefix("Bearer ") in servers.good_tokens
        await (healthy if is_good else denied)(request, reply)

    servers.service.behavior = behave
    return servers.start(servers.settings(key_env="GATEWAY_KEY"))


def ask_vertex(servers, token, *, own_key=OWN_KEY, project="shop", openai=False):
    path = f"{VERTEX_PATH.format(project)}:generateContent"
    body = gemini_request()
    if openai:
        path = f"/v1/projects/{project}/locations/global/endpoints/openapi/chat/completions"
        body = openai_request()
    headers = {"authorization": f"Bearer {token}"}
    if own_key:
        headers["x-understudy-key"] = own_key
    answer = httpx.post(servers.url + path, json=body, headers=headers)
    return answer.headers["x-understudy-served-by"]


@pytest.mark.parametrize("openai", [False, True])
def test_a_new_token_is_covered_where_its_caller_brings_the_gateways_key(
    with_own_key, openai, capfd
):
    servers = with_own_key
    assert ask_vertex(servers, "first") == "service"
    servers.good_tokens.clear()
    assert ask_vertex(servers, "second", openai=openai) == "model"
    assert "alarm project:shop raised" in capfd.readouterr().err
    assert "x-understudy-key" not in str(servers.service.received[-1].headers)


@pytest.mark.parametrize(
    "stranger",
    [
        {"own_key": ""},
        {"own_key": "guessed"},
        {"project": "another"},
        {"project": "shop%2F..%2Fshop"},
        {"project": "SHOP"},
    ],
)
def test_a_project_in_a_path_proves_nothing(with_own_key, stranger):
    servers = with_own_key
    assert ask_vertex(servers, "first") == "service"
    servers.good_tokens.clear()
    for token in ("second", "third"):
        assert ask_vertex(servers, token, **stranger) == "service"
    assert servers.model.received == []


def test_the_gateways_key_alone_covers_no_project_that_never_worked(with_own_key):
    with_own_key.good_tokens.clear()
    assert ask_vertex(with_own_key, "first") == "service"
    assert with_own_key.model.received == []


def test_an_api_key_is_not_covered_for_a_project(with_own_key):
    assert ask_vertex(with_own_key, "first") == "service"
    with_own_key.good_tokens.clear()
    url = with_own_key.url + VERTEX_PATH.format("shop") + ":generateContent"
    headers = {"x-goog-api-key": "new", "x-understudy-key": OWN_KEY}
    answer = httpx.post(url, json=gemini_request(), headers=headers)
    assert answer.headers["x-understudy-served-by"] == "service"


def test_a_project_that_worked_is_known_after_a_restart(with_own_key, tmp_path):
    servers = with_own_key
    settings = servers.settings(key_env="GATEWAY_KEY")
    servers.restart(settings, state_dir=tmp_path)
    assert ask_vertex(servers, "first") == "service"
    servers.good_tokens.clear()
    servers.restart(settings, state_dir=tmp_path)
    assert ask_vertex(servers, "second") == "model"
    assert "shop" not in (tmp_path / "keys.json").read_text()


def test_an_outage_in_which_no_new_token_is_covered_raises_the_alarm(with_own_key, capfd):
    servers = with_own_key
    assert ask_vertex(servers, "first", own_key="") == "service"
    servers.good_tokens.clear()
    assert ask_vertex(servers, "second", own_key="") == "service"
    assert "alarm" not in capfd.readouterr().err  # one caller's token may be wrong
    servers.clock.now += 61
    assert ask_vertex(servers, "third", own_key="") == "service"
    assert "its caller is not covered: send the gateway's own key" in capfd.readouterr().err


def test_one_callers_wrong_token_raises_the_alarm_once(with_own_key, capfd):
    servers = with_own_key
    for _ in range(3):
        assert ask_vertex(servers, "first") == "service"
        assert ask_vertex(servers, "wrong") == "model"
    assert capfd.readouterr().err.count("alarm project:shop") == 1
    servers.clock.now += 61
    assert ask_vertex(servers, "first") == "service"
    servers.took(7)
    assert "alarm project:shop cleared" in capfd.readouterr().err


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
    first.record_success("a")
    second.record_success("b")
    first.record_success("c")
    restarted = KnownKeys(tmp_path)
    assert all(restarted.has_succeeded(hashed) for hashed in "abc")


def test_the_key_that_was_unused_for_longest_is_forgotten_first(monkeypatch):
    monkeypatch.setattr("serving.gateway.keys._MAX_KEYS", 2)
    keys = KnownKeys()
    for hashed in ("in use", "token 1", "in use", "token 2"):
        keys.record_success(hashed)
    assert keys.has_succeeded("in use")
    assert not keys.has_succeeded("token 1")


# ---- the gateway's own key ---------------------------------------------------------------------


def own_address() -> str:
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has loopback alone")
        return probe.getsockname()[0]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "gateway.internal"])
def test_others_may_reach_the_gateway_only_with_a_key(host):
    with pytest.raises(ValueError, match="there is no key_env"):
        ServingSettings(host=host)
    assert ServingSettings(host=host, key_env="GATEWAY_KEY").key_env == "GATEWAY_KEY"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "::ffff:127.0.0.1"])
def test_this_machine_needs_no_key(host):
    assert ServingSettings(host=host).is_local


def test_a_key_that_is_not_set_is_said_at_the_start(servers, monkeypatch):
    monkeypatch.delenv("GATEWAY_KEY", raising=False)
    with pytest.raises(UserError, match="GATEWAY_KEY, which is not set"):
        create_app(servers.settings(key_env="GATEWAY_KEY"), [servers.task()])


def test_strangers_are_turned_away_and_the_key_stays_here(servers, monkeypatch):
    monkeypatch.setenv("GATEWAY_KEY", "open sesame")
    servers.start(servers.settings(host="0.0.0.0", key_env="GATEWAY_KEY"), is_ready=False)
    for url in (servers.url, servers.url.replace("127.0.0.1", own_address())):
        for path in (GEMINI_PATH, "/v1beta/models", "/understudy/metrics", "/understudy/"):
            answer = httpx.post(url + path, json=gemini_request())
            assert answer.status_code == 401, path
            assert "x-understudy-key" in answer.json()["error"]["message"]
        assert servers.service.received == []
        headers = {"x-understudy-key": "open sesame"}
        answer = httpx.post(url + GEMINI_PATH, json=gemini_request(), headers=headers)
        assert answer.status_code == 200
        assert not servers.service.received[0].header("x-understudy-key")
        servers.forget()


def test_without_a_key_only_this_machine_is_let_in(servers):
    servers.start()
    app = servers.app
    sent = []

    async def ask() -> None:
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/understudy/",
            "query_string": b"",
            "headers": [],
            "client": ("10.0.0.9", 1234),
        }

        async def send(message):
            sent.append(message)

        await app(scope, None, send)

    servers.run(ask())
    assert sent[0]["status"] == 401


def test_gateways_of_one_folder_know_each_others_keys(tmp_path):
    one, other = KnownKeys(tmp_path), KnownKeys(tmp_path)
    key = one.hash(b"a key")
    other.record_success(other.hash(b"another key"))
    one.record_success(key)
    assert not other.has_succeeded(key)
    other.refresh()
    assert other.has_succeeded(key)
    assert other.has_succeeded(other.hash(b"another key"))
    assert not other.is_outdated()
