"""When a breaker opens, and how it leads back; without a server."""

import random

import pytest

from serving.gateway import faults
from serving.gateway.breaker import Breaker, Permit
from serving.gateway.breakers import Breakers, Permits
from serving.gateway.faults import Fault
from serving.settings import BreakerSettings
from tests.serving.gateway.harness import Clock, NoJitter

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


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("is_watched", [False, True], ids=["asked for", "sent anyway"])
def test_every_state_leads_back_to_closed_once_the_backend_is_well(clock, seed, is_watched):
    rng = random.Random(seed)
    breaker = Breaker(SETTINGS.model_copy(update={"jitter": 0.2}), 3, clock, rng)
    in_flight = []
    for _ in range(rng.randrange(200)):
        clock.now += rng.choice([0, 0, 0.5, 5])
        given = breaker.watch() if rng.random() < 0.3 else breaker.permit()
        in_flight += [given] if given else []
        if in_flight and rng.random() < 0.8:
            over = in_flight.pop(rng.randrange(len(in_flight)))
            outcomes = (over.success, over.release, lambda it=over: it.failure("F6"))
            rng.choice([*outcomes, lambda it=over: it.failure("F7", rng.choice([1, 500]))])()
    for left in in_flight:
        left.release()
    clock.now += 61  # the cap of what a service may ask for, and the jitter of the longest wait
    clock.now += 6
    for _ in range(SETTINGS.ramp_successes):
        given = breaker.watch() if is_watched else permit(breaker)
        given.success()
    assert breaker.state == "closed"
    assert all(breaker.permit() for _ in range(100))


def test_requests_that_are_sent_anyway_are_the_probes_where_there_are_no_others(breaker, clock):
    for _ in range(3):
        breaker.watch().failure("F6")
    assert breaker.state == "open"
    breaker.watch().success()  # it left before its time, and says nothing
    assert breaker.state == "open"
    clock.now += 1
    probe, beyond = breaker.watch(), breaker.watch()
    beyond.failure("F6")
    probe.success()  # it left before that
    assert breaker.seconds_left() == 2
    clock.now += 2
    for _ in range(5):
        breaker.watch().success()
    assert breaker.state == "closed"


def test_a_request_that_is_sent_anyway_and_hangs_takes_no_probes_place(breaker, clock):
    fail(breaker, 3)
    clock.now += 1
    hanging = [breaker.watch() for _ in range(3)]
    assert breaker.state == "ramp"
    for _ in range(5):
        permit(breaker).success()
    assert breaker.state == "closed"
    for late in hanging:
        late.failure("F7")
    assert breaker.state == "closed"


def test_failures_of_requests_that_are_sent_anyway_make_no_wait_longer(breaker, clock):
    fail(breaker, 3)
    for _ in range(9):
        breaker.watch().failure("F6")
    assert breaker.seconds_left() == 1


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


def test_a_hanging_request_of_no_task_keeps_no_breaker_open(breakers, clock):
    for _ in range(3):
        permits(breakers).settle(faults.failure(Fault.SERVER, "no"))
    permits_of_key = breakers.of_key("k", "m")
    permits_of_key.permit().failure("F9", None)
    clock.now += 10
    breakers.watch("k", "m")
    breakers.watch("k2", "other")
    for _ in range(5):
        permits(breakers).settle(None)
    assert (breakers.service.state, permits_of_key.state) == ("closed", "closed")


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
    assert len(list(breakers.of_keys())) <= 4096
    assert breakers.permits("bad", "m") is breakers.of_key("bad", "m")


def test_a_breaker_that_is_forgotten_is_said_to_be_closed(clock):
    states = {}
    breakers = Breakers(SETTINGS, lambda name, it: states.update({name: it.state}), clock)
    for number in range(4100):
        permits(breakers, key=f"{number:08}").settle(faults.failure(Fault.KEY, "no"))
    closed = [name for name, state in states.items() if state == "closed"]
    assert closed == [f"key:{number:08}/m" for number in range(4)]


@pytest.mark.parametrize("is_open", [False, True])
def test_requests_of_a_breaker_that_is_forgotten_change_nothing(clock, is_open):
    changes = []
    breakers = Breakers(SETTINGS, lambda name, it: changes.append((name, it.state)), clock)
    gone = "service:us-east1"
    held = [breakers.permits("k", "m", gone) for _ in range(6)]
    if is_open:
        for each in held[:3]:
            each.settle(faults.failure(Fault.SERVER, "no"))
    clock.now += 3601
    breakers.age_out()
    before = list(changes)
    assert before == ([(gone, "open"), (gone, "closed")] if is_open else [])
    for each in held[3:]:
        each.settle(faults.failure(Fault.SERVER, "no", 300))
    assert changes == before
    assert breakers.of_backend(gone).state == "closed"


def test_a_fault_of_a_location_counts_for_no_other(breakers):
    here, there = "service", "service:europe-west4"
    for _ in range(3):
        breakers.permits("k", "m", there).settle(faults.failure(Fault.SERVER, "no"))
    breakers.permits("k", "m", here).settle(faults.failure(Fault.QUOTA, "no", 30))
    assert breakers.permits("k", "m", there) is breakers.of_backend(there)
    assert breakers.permits("k", "m", here) is breakers.of_key("k", "m")
    assert isinstance(breakers.permits("other", "m", here), Permits)
    assert isinstance(breakers.permits("k", "m", "service:us-central1"), Permits)


def test_locations_that_callers_make_up_are_bounded_and_forgotten_after_an_hour(clock):
    states = {}
    breakers = Breakers(SETTINGS, lambda name, it: states.update({name: it.state}), clock)
    for number in range(100):
        for _ in range(3):
            made_up = breakers.permits("k", "m", f"service:{number}")
            made_up.settle(faults.failure(Fault.DNS, "no"))
    assert len(breakers.backends()) == 65
    assert [name for name, state in states.items() if state == "closed"] == [
        f"service:{number}" for number in range(36)
    ]
    clock.now += 1800
    breakers.of_backend("service:99")
    clock.now += 1801
    breakers.age_out()
    assert list(breakers.backends()) == ["service", "service:99"]
    assert [name for name, state in states.items() if state == "open"] == ["service:99"]


def test_gateways_with_the_default_settings_do_not_probe_at_one_moment():
    settings = BreakerSettings()
    assert 0 < settings.jitter < 1
    assert BreakerSettings.model_validate(settings.model_dump()) == settings
