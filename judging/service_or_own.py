"""What requests cost with the service LLM and with the tuned model, and when which is cheaper.

A tuned model costs the same whether its machine answers or waits; the service costs by request.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from core.reports.operation import Latency, OwnAnswers, ServiceAnswers, ServiceOrOwn
from judging.operation_settings import OperationSettings
from service_llm.cost import cost_usd, price_of
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Reply

_SECONDS_PER_HOUR = 3600


class Machine(NamedTuple):
    """What would answer: its type, and its price per hour, None where there is no source for it."""

    name: str
    usd_per_hour: float | None


class RunCost(NamedTuple):
    """What a run took: USD for replies, None where a price is unknown, and hours of machines."""

    replies_usd: float | None
    hours: float


def service_answers(
    replies: Sequence[Reply], settings: ServiceLLMSettings
) -> ServiceAnswers | None:
    """Sum up the service LLM's answers to the coverage prompts; None without any.

    Args:
        replies: Its replies.
        settings: The service; the price is that of single requests, even where a batch was used.
    """
    if not replies:
        return None
    counted = [reply for reply in replies if reply.usage_known]
    prompt_tokens = sum(reply.prompt_tokens for reply in counted)
    output_tokens = sum(reply.output_tokens for reply in counted)
    price = price_of(settings.model_copy(update={"batch": False}))
    cost = cost_usd(price, prompt_tokens, output_tokens) if counted else None
    seconds = [reply.seconds for reply in replies if reply.seconds is not None]
    return ServiceAnswers(
        model=settings.model,
        requests=len(replies),
        timed=len(seconds),
        counted=len(counted),
        prompt_tokens=prompt_tokens,
        output_tokens=output_tokens,
        latency=Latency.of(seconds),
        usd_per_request=None if cost is None else cost / len(counted),
    )


def service_or_own(
    service: ServiceAnswers | None,
    own: OwnAnswers | None,
    settings: OperationSettings,
    machine: Machine,
    run: RunCost,
) -> ServiceOrOwn:
    """Compare what requests cost.

    Args:
        service: The service LLM's answers.
        own: The tuned model's.
        settings: What is assumed about operation.
        machine: What would answer.
        run: What making the model took, and would take again.
    """
    per_request = service.usd_per_request if service else None
    machine_day = _times(machine.usd_per_hour, settings.hours_per_day)
    run_usd = _plus(run.replies_usd, _times(machine.usd_per_hour, run.hours))
    run_day = _times(run_usd, 1 / settings.retrain_every_days)
    capacity = own.per_second * settings.hours_per_day * _SECONDS_PER_HOUR if own else None
    machines = math.ceil(settings.requests_per_day / capacity) if capacity else None
    own_day = _plus(_times(machine_day, machines), run_day)
    break_even, never = None, False
    if per_request and machine_day and run_day is not None and capacity:
        break_even = break_even_requests(per_request, machine_day, capacity, run_day)
        never = break_even is None
    return ServiceOrOwn(
        requests_per_day=settings.requests_per_day,
        machine=machine.name,
        machine_usd_per_hour=machine.usd_per_hour,
        hours_per_day=settings.hours_per_day,
        machines=machines,
        retrain_every_days=settings.retrain_every_days,
        replies_usd=run.replies_usd,
        training_hours=run.hours,
        run_usd=run_usd,
        service=service,
        own=own,
        service_usd_per_1000=_times(per_request, 1000),
        own_usd_per_1000=_times(own_day, 1000 / settings.requests_per_day),
        break_even_per_day=break_even,
        never=never,
        unknown=tuple(_unknown(service, own, machine, run)),
    )


def break_even_requests(
    per_request: float, machine_day: float, capacity: float, run_day: float
) -> int | None:
    """Return the requests a day from which a tuned model costs no more; None where there are none.

    Args:
        per_request: What the service takes for one request, above 0.
        machine_day: What one machine costs a day.
        capacity: Requests that it can answer a day.
        run_day: What repeated runs cost a day.

    Example:
        A machine for 2.40 a day and a run of 30 every 30 days against 0.001 a request:

        >>> break_even_requests(0.001, 2.4, 10_000, 1.0)
        3400
    """
    # What a machine saves a day at full load has to pay for the runs, which need no machine more.
    saved = capacity * per_request - machine_day
    if saved <= 0:
        return None
    machines = max(1, math.ceil(run_day / saved))
    return math.ceil(round((machines * machine_day + run_day) / per_request, 6))


def _unknown(
    service: ServiceAnswers | None, own: OwnAnswers | None, machine: Machine, run: RunCost
) -> list[str]:
    missing = []
    if service is None:
        missing.append(
            "The service LLM's own answers were not measured: add 'service' to evaluator.baselines."
        )
    elif service.usd_per_request is None:
        missing.append(f"The price of {service.model} is unknown: set service_llm.price.")
    if service is not None and service.latency is None:
        missing.append(
            "The service LLM's latency is unknown: its answers came from a batch, or from a run "
            "before seconds were kept."
        )
    if own is None:
        missing.append(
            "The tuned model's speed is unknown: too few batches, so that every one includes the "
            "compilation of its program. Lower generation.batch_size."
        )
    if machine.usd_per_hour is None:
        missing.append(
            f"The price table has no {machine.name}: set operation.machine_usd_per_hour."
        )
    if run.replies_usd is None:
        missing.append(
            "What the replies of this run cost is unknown, since the price of a model is: set "
            "service_llm.price, judge.price and embedder.price."
        )
    return missing


def _times(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one * other


def _plus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
