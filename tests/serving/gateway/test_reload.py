"""Another round's model: verified first, taken up without a lost request, and back again."""

import asyncio
import threading

import httpx
import pytest

from core.errors import UserError
from serving.chosen_round import keep_chosen_round, read_chosen_round
from tests.serving.gateway import fakes
from tests.serving.gateway.harness import GEMINI_PATH, MODEL_TEXT, Harness, gemini_request

NEW_TEXT = '{"category": "shipping", "from": "the new model"}'


class Host:
    """Has a second model's server, and remembers what it was told to stop."""

    def __init__(self, servers: Harness) -> None:
        self.servers = servers
        self.other = fakes.FakeServer(fakes.model(NEW_TEXT))
        servers.run(self.other.start())
        self.retired: list[str] = []

    async def load(self, round: int | None):
        if round == 9:
            raise UserError("There is no round 9; the run has 1 to 4.")
        if round == 3:
            return [self.servers.task()]
        return [self.servers.task(round=4, hash="beef", base_url=f"{self.other.url}/v1")]

    async def retire(self, tasks):
        self.retired += [task.base_url for task in tasks]


@pytest.fixture
def host(servers):
    made = Host(servers)
    servers.start(host=made)
    servers.service.behavior = fakes.unavailable
    yield made
    servers.run(made.other.stop())


def reload(servers: Harness, round: int | None) -> httpx.Response:
    body = {} if round is None else {"round": round}
    return httpx.post(f"{servers.url}/understudy/reload", json=body, timeout=30)


def test_a_new_model_is_taken_up_and_the_old_one_comes_back(servers, host):
    assert servers.ask("gemini", stream=False) == MODEL_TEXT
    answer = reload(servers, 4)
    assert answer.json() == {"serving": ["triage/round-4@beef"]}
    assert servers.ask("gemini", stream=False) == NEW_TEXT
    assert host.retired == [f"{servers.model.url}/v1"]
    assert reload(servers, 3).json() == {"serving": ["triage/round-3@1f2e3d4c"]}
    assert servers.ask("gemini", stream=False) == MODEL_TEXT


def test_the_round_that_was_chosen_is_kept_where_it_is_taken_up(servers, tmp_path):
    host = Host(servers)
    servers.start(host=host, state_dir=tmp_path)
    assert reload(servers, 4).status_code == 200
    assert read_chosen_round(tmp_path) == 4
    assert reload(servers, 9).status_code == 409
    assert read_chosen_round(tmp_path) == 4
    (tmp_path / ".round.json.new").mkdir()  # nothing can be written there
    assert reload(servers, 3).status_code == 200
    [alarm] = httpx.get(f"{servers.url}/understudy/status").json()["alarms"]
    assert (alarm["name"], "forgets which round" in alarm["text"]) == ("round", True)
    assert reload(servers, None).status_code == 200
    assert read_chosen_round(tmp_path) is None
    servers.run(host.other.stop())


def test_a_model_that_breaks_the_contract_is_not_taken_up(servers, host):
    host.other.behavior = fakes.model('{"category": "weather"}')
    answer = reload(servers, 4)
    assert answer.status_code == 409
    assert "round-4@beef cannot be used" in answer.json()["error"]
    assert host.retired == [f"{host.other.url}/v1"]
    assert servers.ask("gemini", stream=False) == MODEL_TEXT


def test_a_model_that_cannot_be_verified_for_any_reason_is_stopped(servers, host, monkeypatch):
    async def fails(served):
        raise RuntimeError("nobody has seen this before")

    monkeypatch.setattr("serving.gateway.reload.verify", fails)
    assert reload(servers, 4).status_code == 500
    assert host.retired == [f"{host.other.url}/v1"]
    assert servers.ask("gemini", stream=False) == MODEL_TEXT


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [({"round": 9}, 409, "no round 9"), ({"round": "4"}, 400, "round"), ([1], 400, "round")],
)
def test_a_reload_that_cannot_be_says_why(servers, host, body, status, why):
    answer = httpx.post(f"{servers.url}/understudy/reload", json=body)
    assert answer.status_code == status
    assert why in answer.json()["error"]


def test_a_page_of_another_site_cannot_exchange_models(servers, host):
    """A form can send text and no JSON: https://fetch.spec.whatwg.org/#simple-header."""
    kind = {"Content-Type": "text/plain", "Origin": "https://another.example"}
    answer = httpx.post(f"{servers.url}/understudy/reload", content=b'{"round": 4}', headers=kind)
    assert answer.status_code == 415
    preflight = httpx.options(f"{servers.url}/understudy/reload", headers=kind)
    assert "access-control-allow-origin" not in preflight.headers
    assert servers.ask("gemini", stream=False) == MODEL_TEXT


def test_no_request_is_lost_while_models_are_exchanged(servers, host):
    texts, done = [], threading.Event()

    def ask() -> None:
        while not done.is_set():
            texts.append(servers.ask("gemini", stream=False))

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    for number in (4, 3, 4):
        seen = len(texts)
        servers.wait_until(lambda seen=seen: len(texts) > seen + len(asking))
        assert reload(servers, number).status_code == 200
    done.set()
    for thread in asking:
        thread.join()
    assert set(texts) == {MODEL_TEXT, NEW_TEXT}


def test_a_model_is_retired_only_when_its_last_request_is_answered(servers, host):
    entered, leave = threading.Event(), threading.Event()

    async def slow(request, reply):
        entered.set()
        while not leave.is_set():
            await asyncio.sleep(0.01)
        await fakes.model(MODEL_TEXT)(request, reply)

    servers.model.behavior = slow
    texts: list[str] = []
    asking = threading.Thread(target=lambda: texts.append(servers.ask("gemini", stream=False)))
    asking.start()
    entered.wait()
    reloading = threading.Thread(target=lambda: reload(servers, 4))
    reloading.start()
    servers.wait_until(lambda: "round-4" in httpx.get(f"{servers.url}/understudy/status").text)
    assert host.retired == []
    leave.set()
    asking.join()
    reloading.join()
    assert texts == [MODEL_TEXT]
    assert host.retired == [f"{servers.model.url}/v1"]


def test_ready_means_that_a_real_answer_came(servers):
    async def loading(request, reply):
        await reply.whole(b'{"error": {"message": "Loading model"}}', 503)

    servers.model.behavior = loading
    servers.start(is_ready=False)
    servers.wait_until(lambda: "answered 503" in ready(servers).text)
    assert ready(servers).status_code == 503
    servers.model.behavior = fakes.model(MODEL_TEXT)
    servers.wait_until(lambda: ready(servers).status_code == 200)


def ready(servers: Harness) -> httpx.Response:
    return httpx.get(f"{servers.url}/understudy/ready")


def test_an_idle_model_is_kept_warm(servers):
    servers.start(servers.settings(model={"keep_warm_seconds": 0.05}))
    servers.wait_until(lambda: len(servers.model.received) >= 2)
    sample = servers.model.received[0].json["messages"][0]["content"]
    assert sample == "Where is my parcel?"


def test_the_page_shows_who_answers_and_the_alarms(servers):
    servers.start(servers.settings(breakers={"failures_to_open": 1, "jitter": 0}))
    servers.service.behavior = fakes.unavailable
    servers.ask("gemini", stream=False)
    servers.took(1)
    text = httpx.get(f"{servers.url}/understudy/").text
    assert "The tuned model answers: the service fails (F6)" in text
    assert "triage/round-3@1f2e3d4c" in text
    assert status(servers)["answered_by"] == {"model": 1}


def status(servers: Harness) -> dict:
    return httpx.get(f"{servers.url}/understudy/status").json()


def test_the_alarm_of_a_round_ends_when_a_disk_that_hung_has_kept_it(
    servers, tmp_path, monkeypatch
):
    host = Host(servers)
    servers.start(host=host, state_dir=tmp_path)
    answers = threading.Event()

    def hang(folder, round):
        answers.wait(30)
        keep_chosen_round(folder, round)

    monkeypatch.setattr("serving.gateway.reload.keep_chosen_round", hang)
    monkeypatch.setattr("serving.gateway.reload._KEEP_SECONDS", 0.01)
    try:
        assert reload(servers, 4).status_code == 200
        assert servers.app._gateway.alarms.is_raised("round")
    finally:
        answers.set()
    servers.wait_until(lambda: not servers.app._gateway.alarms.is_raised("round"))
    assert read_chosen_round(tmp_path) == 4
    servers.run(host.other.stop())


def test_a_request_that_waits_for_the_service_keeps_its_model(servers, host):
    entered, fail = threading.Event(), threading.Event()

    async def slow_failure(request, reply):
        entered.set()
        while not fail.is_set():
            await asyncio.sleep(0.01)
        await fakes.unavailable(request, reply)

    servers.service.behavior = slow_failure
    texts: list[str] = []
    asking = threading.Thread(target=lambda: texts.append(servers.ask("gemini", stream=False)))
    asking.start()
    entered.wait()
    reloading = threading.Thread(target=lambda: reload(servers, 4))
    reloading.start()
    servers.wait_until(lambda: "round-4" in httpx.get(f"{servers.url}/understudy/status").text)
    assert host.retired == []
    fail.set()
    asking.join()
    reloading.join()
    assert texts == [MODEL_TEXT]
    assert host.retired == [f"{servers.model.url}/v1"]


def test_another_model_clears_the_alarm_of_the_one_before(servers):
    host = Host(servers)
    breakers = {"failures_to_open": 2, "jitter": 0}
    servers.start(servers.settings(breakers=breakers), host=host)
    servers.service.behavior = servers.model.behavior = fakes.unavailable
    for _ in range(3):
        assert servers.post(GEMINI_PATH, gemini_request()).status_code == 503
    alarm = 'understudy_alarm{name="tuned_model:triage"}'
    assert f"{alarm} 1.0" in httpx.get(f"{servers.url}/understudy/metrics").text
    assert reload(servers, 4).status_code == 200
    told = httpx.get(f"{servers.url}/understudy/metrics").text
    assert f"{alarm} 0.0" in told
    assert 'understudy_breaker_open{backend="tuned_model:triage"} 0.0' in told
    servers.run(host.other.stop())


def test_a_new_model_answers_three_coverage_prompts_first(servers, host, monkeypatch):
    samples = tuple(f"Where is parcel {n}?" for n in range(5))
    task = servers.task(round=4, base_url=f"{host.other.url}/v1", samples=samples)

    async def load(round):
        return [task]

    monkeypatch.setattr(host, "load", load)
    assert reload(servers, 4).status_code == 200
    asked = [received.json["messages"][-1]["content"] for received in host.other.received]
    assert asked == list(samples[:3])
