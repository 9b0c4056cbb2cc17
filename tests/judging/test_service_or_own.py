import math

import pytest

from core.reports.operation import BatchSeconds, GenerationTimes, Latency, OwnAnswers
from judging.operation_settings import OperationSettings
from judging.service_or_own import (
    Machine,
    RunCost,
    break_even_requests,
    service_answers,
    service_or_own,
)
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Finish, Reply

PRICE = {"prompt_usd_per_million_tokens": 1.0, "output_usd_per_million_tokens": 10.0}


def _settings(**changes):
    return ServiceLLMSettings.model_validate(
        {"provider": "gemini", "model": "some-model", "api_key_env": "A_KEY", "price": PRICE}
        | changes
    )


def _reply(seconds=0.5, **changes):
    values = {"text": "{}", "finish": Finish.STOP, "prompt_tokens": 500, "output_tokens": 50}
    return Reply(**(values | changes), seconds=seconds)


def _own(per_batch=2.0, batches=50):
    """Eight responses a batch, after a first one that compiled."""
    return OwnAnswers.of(
        GenerationTimes(
            batch_size=8,
            batches=(BatchSeconds(responses=8, seconds=per_batch),) * batches,
            left_out=8,
        )
    )


def _compare(service="priced", own="timed", machine=("e2", 0.1), run=(3.0, 2.0), **settings):
    if service == "priced":
        service = service_answers([_reply()] * 10, _settings())
    own = _own() if own == "timed" else own
    return service_or_own(
        service, own, OperationSettings(**settings), Machine(*machine), RunCost(*run)
    )


def test_percentiles_are_nearest_ranks_of_what_was_measured():
    latency = Latency.of([float(n) for n in range(100, 0, -1)])
    assert (latency.p50_seconds, latency.p95_seconds) == (50, 95)
    assert Latency.of([0.3]) == Latency(p50_seconds=0.3, p95_seconds=0.3)
    assert Latency.of([]) is None


def test_the_services_answers_are_summed_from_its_replies():
    replies = [_reply(n / 10) for n in range(1, 20)]
    replies += [_reply(None), _reply(9.0, prompt_tokens=0, output_tokens=0, usage_known=False)]
    found = service_answers(replies, _settings())
    assert (found.requests, found.timed, found.counted) == (21, 20, 20)
    assert (found.prompt_tokens, found.output_tokens) == (10_000, 1_000)
    assert found.usd_per_request == pytest.approx(500e-6 + 50 * 10e-6)
    assert (found.latency.p50_seconds, found.latency.p95_seconds) == (1.0, 1.9)


def test_operation_is_priced_by_the_request_even_where_the_run_used_a_batch():
    single, batch = (
        service_answers([_reply(None)], _settings(batch=batch)) for batch in (False, True)
    )
    assert single.usd_per_request == batch.usd_per_request
    assert batch.latency is None


def test_a_response_takes_as_long_as_its_batch():
    own = OwnAnswers.of(
        GenerationTimes(
            batch_size=4,
            batches=(
                BatchSeconds(responses=4, seconds=1.0),
                BatchSeconds(responses=2, seconds=2.0),
            ),
            left_out=4,
        )
    )
    assert (own.responses, own.per_second) == (6, 2.0)
    assert (own.latency.p50_seconds, own.latency.p95_seconds) == (1.0, 2.0)


def test_batches_that_all_compiled_measure_nothing():
    assert OwnAnswers.of(GenerationTimes(batch_size=8, batches=(), left_out=8)) is None


def test_costs_hold_machines_idle_hours_and_repeated_runs():
    found = _compare(requests_per_day=1_000, retrain_every_days=30)
    assert found.service_usd_per_1000 == pytest.approx(1.0)
    assert found.machines == 1, "four a second are 345,600 a day"
    assert found.run_usd == pytest.approx(3.0 + 2 * 0.1)
    assert found.own_usd_per_1000 == pytest.approx(24 * 0.1 + 3.2 / 30)
    assert found.unknown == ()


def test_more_requests_than_one_machine_answers_take_more_machines():
    found = _compare(requests_per_day=1_000_000, hours_per_day=12)
    assert found.machines == math.ceil(1_000_000 / (4 * 12 * 3600))
    assert found.own_usd_per_1000 == pytest.approx((6 * 12 * 0.1 + 3.2 / 30) / 1000)


def test_at_the_break_even_both_cost_the_same():
    found = _compare()
    at = _compare(requests_per_day=found.break_even_per_day)
    assert at.own_usd_per_1000 == pytest.approx(at.service_usd_per_1000, rel=1e-3)
    below = _compare(requests_per_day=found.break_even_per_day - 10)
    assert below.own_usd_per_1000 > below.service_usd_per_1000


@pytest.mark.parametrize("run_day", [0.0, 1.0, 40.0, 500.0])
@pytest.mark.parametrize("machine_day", [0.5, 2.4, 9.0])
def test_the_break_even_is_the_first_number_of_requests_that_pays(machine_day, run_day):
    """Compared with trying every number."""
    per_request, capacity = 0.01, 1_000

    def pays(requests):
        own = math.ceil(requests / capacity) * machine_day + run_day
        return own <= requests * per_request + 1e-9

    first = next(requests for requests in range(1, 2_000_000) if pays(requests))
    assert break_even_requests(per_request, machine_day, capacity, run_day) == first


def test_a_machine_that_costs_more_at_full_load_never_pays():
    found = _compare(machine=("dear", 40.0))
    assert found.never
    assert found.break_even_per_day is None
    assert not _compare().never


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"service": None}, "add 'service' to evaluator.baselines"),
        ({"own": None}, "Lower generation.batch_size"),
        ({"machine": ("n1", None)}, "The price table has no n1"),
        ({"run": (None, 2.0)}, "set service_llm.price, judge.price"),
    ],
)
def test_what_is_missing_makes_the_break_even_unknown_and_is_said(changes, sentence):
    found = _compare(**changes)
    assert found.break_even_per_day is None
    assert not found.never
    assert sentence in " ".join(found.unknown)


def test_a_service_without_a_price_costs_an_unknown_amount():
    service = service_answers([_reply()], _settings(price=None))
    found = _compare(service=service)
    assert found.service_usd_per_1000 is None
    assert "The price of some-model is unknown" in found.unknown[0]
    assert found.service.latency.p50_seconds == 0.5, "its latency is known all the same"
