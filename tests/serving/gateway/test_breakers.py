"""When requests stop going to the service, and how they return to it."""

import httpx
import pytest

from serving.gateway import faults
from serving.gateway.breakers import Breaker, Breakers, Permit, Permits
from serving.gateway.faults import Fault
from serving.settings import BreakerSettings
from tests.serving.gateway import fakes
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    MODEL_TEXT,
    SERVICE_TEXT,
    Clock,
    NoJitter,
    gemini_request,
)

SETTINGS = BreakerSettings(
    failures_to_open=3, wait_seconds=1, max_wait_seconds=4, retry_after_cap_seconds=60, jitter=0
)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return Breaker(SETTINGS, 3, clock, NoJitter())


def permit(breaker: Breaker) -> Permit:
    given = breaker.permit()
    assert given is not None
    return given


def fail(breaker: Breaker, times: int = 1, wait: float | None = None) -> None:
    for _ in range(times):
        permit(breaker).failure("F6", wait)


def test_failures_in_a_row_open_it(breaker):
    fail(breaker, 2)
    permit(breaker).success()
    fail(breaker, 2)
    assert breaker.state == "closed"
    fail(breaker)
    assert (breaker.state, breaker.reason) == ("open", "F6")
    assert breaker.permit() is None


def test_outcomes_that_say_nothing_do_not_count(breaker):
    for _ in range(9):
        permit(breaker).release()
    assert breaker.state == "closed"


def test_one_probe_at_a_time_then_as_many_as_have_succeeded_and_one_more(breaker, clock):
    fail(breaker, 3)
    clock.now += 1
    first = permit(breaker)
    assert breaker.permit() is None
    first.success()
    second, third = permit(breaker), permit(breaker)
    assert breaker.permit() is None
    for probe in (second, third):
        probe.success()
    for _ in range(2):
        assert breaker.state == "ramp"
        permit(breaker).success()
    assert breaker.state == "closed"
    assert all(breaker.permit() for _ in range(100))


def test_a_probe_that_says_nothing_makes_room_for_the_next(breaker, clock):
    fail(breaker, 3)
    clock.now += 1
    permit(breaker).release()
    assert breaker.permit() is not None


def test_the_wait_doubles_up_to_its_bound_and_starts_anew_after_a_return(breaker, clock):
    fail(breaker, 3)
    waits = []
    for _ in range(4):
        waits.append(breaker.seconds_left())
        clock.now += breaker.seconds_left()
        fail(breaker)
    assert waits == [1, 2, 4, 4]
    clock.now += 4
    for _ in range(5):
        permit(breaker).success()
    fail(breaker, 3)
    assert breaker.seconds_left() == 1


def test_a_wait_that_is_asked_for_opens_at_once_and_is_kept_up_to_the_cap(breaker, clock):
    fail(breaker, wait=7)
    assert breaker.seconds_left() == 7
    clock.now += 7
    fail(breaker, wait=3600)
    assert breaker.seconds_left() == 60


def test_jitter_never_shortens_a_wait_that_is_asked_for(clock):
    settings = SETTINGS.model_copy(update={"jitter": 0.5})
    waits = set()
    for _ in range(20):
        breaker = Breaker(settings, 3, clock)
        fail(breaker, wait=10)
        waits.add(breaker.seconds_left())
    assert min(waits) >= 10
    assert len(waits) > 1


def test_requests_that_left_before_the_state_changed_say_nothing_about_it(breaker, clock):
    late = [permit(breaker) for _ in range(6)]
    fail(breaker, 3)
    late[0].failure("F6")
    late[1].success()
    assert breaker.seconds_left() == 1
    clock.now += 1
    probe = permit(breaker)
    late[2].success()
    late[3].failure("F6")
    assert breaker.state == "ramp"
    assert breaker.permit() is None
    probe.success()
    assert breaker.state == "ramp"


def permits(breakers: Breakers, key: str = "k", model: str = "m") -> Permits:
    given = breakers.permits(key, model)
    assert isinstance(given, Permits)
    return given


@pytest.fixture
def breakers(clock):
    return Breakers(SETTINGS, clock=clock, rng=NoJitter())


@pytest.mark.parametrize("fault", [Fault.QUOTA, Fault.KEY, Fault.RETIRED])
def test_faults_of_a_key_count_for_that_key_and_model_alone(breakers, fault):
    permits(breakers).settle(faults.failure(fault, "no"))
    assert breakers.permits("k", "m") is breakers.of_key("k", "m")
    assert breakers.service.state == "closed"
    permits(breakers, key="other")
    permits(breakers, model="other")


@pytest.mark.parametrize(
    "fault", [Fault.CONNECTION, Fault.DNS, Fault.TLS, Fault.SERVER, Fault.STALL, Fault.CUT_LATE]
)
def test_faults_of_the_backend_count_for_all(breakers, fault):
    for _ in range(3):
        permits(breakers).settle(faults.failure(fault, "no"))
    assert breakers.permits("other", "other") is breakers.service


@pytest.mark.parametrize("fault", [Fault.EMPTY, Fault.CONTRACT])
def test_faults_of_one_answer_count_for_nobody(breakers, fault):
    for _ in range(9):
        permits(breakers).settle(faults.failure(fault, "no"))
    permits(breakers)


def test_a_probe_of_the_service_is_not_wasted_on_a_key_that_waits(breakers, clock):
    permits(breakers).settle(faults.failure(Fault.QUOTA, "no", 30))
    for _ in range(3):
        permits(breakers, key="other").settle(faults.failure(Fault.SERVER, "no"))
    clock.now += 1
    assert breakers.permits("k", "m") is breakers.of_key("k", "m")
    permits(breakers, key="other")


def test_the_breakers_of_many_keys_are_bounded_and_the_open_ones_kept(breakers):
    permits(breakers, key="bad").settle(faults.failure(Fault.KEY, "no"))
    for number in range(5000):
        permits(breakers, key=str(number)).settle(None)
    assert len(list(breakers.all())) <= 4097
    assert breakers.permits("bad", "m") is breakers.of_key("bad", "m")


def test_a_breaker_that_is_forgotten_is_said_to_be_closed(clock):
    states = {}
    breakers = Breakers(SETTINGS, lambda name, it: states.update({name: it.state}), clock)
    for number in range(4100):
        permits(breakers, key=f"{number:08}").settle(faults.failure(Fault.KEY, "no"))
    closed = [name for name, state in states.items() if state == "closed"]
    assert closed == [f"key:{number:08}/m" for number in range(4)]


# ---- in the gateway ----------------------------------------------------------------------------


@pytest.fixture
def strict(servers):
    """A gateway whose breaker opens at the third failure."""
    settings = {"failures_to_open": 3, "wait_seconds": 10, "ramp_successes": 3, "jitter": 0}
    servers.start(servers.settings(breakers=settings))
    assert servers.ask("gemini", stream=False) == SERVICE_TEXT
    servers.took(1)
    servers.forget()
    return servers


async def unavailable(request, reply):
    await reply.whole(b'{"error": {"code": 503, "status": "UNAVAILABLE"}}', 503)


def reasons(servers) -> list[str]:
    return [str(exchange.reason) for exchange in servers.exchanges]


def test_an_open_breaker_spares_the_service_and_real_requests_probe_it(strict):
    strict.service.behavior = unavailable
    for _ in range(6):
        assert strict.ask("gemini", stream=False) == MODEL_TEXT
    strict.took(6)
    assert len(strict.service.received) == 3
    assert reasons(strict) == ["F6"] * 3 + ["breaker:F6"] * 3
    assert 'understudy_breaker_open{backend="service"} 1.0' in metrics(strict)
    strict.clock.now += 10
    assert strict.ask("gemini", stream=False) == MODEL_TEXT  # the probe fails, and is answered
    assert strict.ask("gemini", stream=False) == MODEL_TEXT
    assert len(strict.service.received) == 4
    strict.service.behavior = fakes.healthy(SERVICE_TEXT)
    strict.clock.now += 20
    for _ in range(3):
        assert strict.ask("openai", stream=True) == SERVICE_TEXT
    strict.wait_until(lambda: 'open{backend="service"} 0.0' in metrics(strict))


def metrics(servers) -> str:
    return httpx.get(f"{servers.url}/understudy/metrics").text


@pytest.mark.parametrize("place", ["header", "body"])
def test_the_wait_that_a_quota_asks_for_is_kept_for_its_key_only(strict, place):
    body = b'{"error": {"code": 429, "details": [{"retryDelay": "37s"}]}}'

    async def quota(request, reply):
        if request.header("x-goog-api-key") != "limited":
            await fakes.healthy(SERVICE_TEXT)(request, reply)
        elif place == "body":
            await reply.whole(body, 429)
        else:
            await reply.whole(b"{}", 429, Retry_After="37")

    strict.service.behavior = quota
    other, strict.key = strict.key, "limited"
    assert strict.ask("gemini", stream=False) == MODEL_TEXT
    strict.clock.now += 36
    assert strict.ask("gemini", stream=False) == MODEL_TEXT
    assert len(strict.service.received) == 1
    strict.key = other
    assert strict.ask("gemini", stream=False) == SERVICE_TEXT
    strict.key = "limited"
    strict.clock.now += 2
    assert strict.ask("gemini", stream=False) == MODEL_TEXT
    assert len(strict.service.received) == 3


def test_what_is_not_of_the_task_still_reaches_the_service(strict):
    strict.service.behavior = unavailable
    for _ in range(3):
        strict.ask("gemini", stream=False)
    strict.took(3)
    strict.service.behavior = fakes.healthy(SERVICE_TEXT)
    answer = strict.post(GEMINI_PATH, gemini_request(system="Write a poem."))
    assert answer.headers["x-understudy-served-by"] == "service"


def test_a_callers_own_deadline_counts_for_nobody(strict):
    async def silent(request, reply):
        await reply.stall()

    strict.service.behavior = silent
    strict.model.behavior = silent
    for _ in range(4):
        answer = strict.post(GEMINI_PATH, gemini_request(), x_server_timeout="0.3")
        assert (answer.status_code, answer.json()["error"]["status"]) == (504, "DEADLINE_EXCEEDED")
        assert answer.headers["x-understudy-reason"] == "deadline"
    assert len(strict.service.received) == 4
    assert 'open{backend="service"} 1.0' not in metrics(strict)


def test_a_client_that_hangs_up_counts_for_nobody(strict):
    async def silent(request, reply):
        await reply.stall()

    strict.service.behavior = silent
    for _ in range(5):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(strict.url + GEMINI_PATH, json=gemini_request(), timeout=0.2)
    strict.took(5)
    assert reasons(strict) == ["client_left"] * 5
    strict.wait_until(lambda: strict.service.left_early == 5)
    strict.service.behavior = fakes.healthy(SERVICE_TEXT)
    assert strict.ask("gemini", stream=False) == SERVICE_TEXT


DEADLINES = [("x-server-timeout", "3"), ("x-stainless-read-timeout", "0.2")]


@pytest.mark.parametrize(("header", "seconds"), DEADLINES)
def test_a_service_too_slow_for_an_impatient_caller_has_not_failed(strict, header, seconds):
    async def silent(request, reply):
        await reply.stall()

    strict.service.behavior = silent
    with httpx.Client(headers={"x-goog-api-key": strict.key, header: seconds}) as client:
        for _ in range(4):
            answer = client.post(strict.url + GEMINI_PATH, json=gemini_request(), timeout=30)
            assert answer.headers["x-understudy-served-by"] == "model"
    assert reasons(strict) == ["F4"] * 4
    assert len(strict.service.received) == 4
    assert 'open{backend="service"} 1.0' not in metrics(strict)
    assert 'alarm{name="service"} 1.0' not in metrics(strict)


@pytest.mark.parametrize("deadline", [{}, {"x_server_timeout": "20"}])
def test_a_service_that_is_silent_for_the_usual_limit_has_failed(servers, deadline):
    async def silent(request, reply):
        await reply.stall()

    breakers = {"failures_to_open": 3, "wait_seconds": 10, "jitter": 0}
    servers.start(servers.settings(breakers=breakers, first_byte_seconds=0.1))
    servers.ask("gemini", stream=False)
    servers.service.behavior = silent
    for _ in range(3):
        servers.post(GEMINI_PATH, gemini_request(), **deadline)
    assert 'open{backend="service"} 1.0' in metrics(servers)
    assert 'alarm{name="service"} 1.0' in metrics(servers)
