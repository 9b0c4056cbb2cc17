"""Service or own: compares what requests cost, from a loop's records and price tables."""

from collections.abc import Sequence

from core.reports.loop import RoundSummary
from core.reports.operation import ServiceOrOwn
from core.usage import Usage
from judging.service_or_own import Machine, RunCost, service_or_own
from pipeline.config import Config
from pipeline.vertex.prices import (
    CPU_MACHINE,
    machine_cost,
    machine_of,
    price_of,
    usd_per_hour,
)


def compare_operation(
    config: Config, rounds: Sequence[RoundSummary], best: RoundSummary
) -> ServiceOrOwn:
    """Compare what requests cost, with what the kept round measured.

    Args:
        config: What the loop ran with.
        rounds: All its rounds: a run like it is what a retraining takes.
        best: The kept round.
    """
    usage = sum((entry.usage for entry in rounds), Usage())
    return service_or_own(
        best.report.service_answers,
        best.report.own_answers,
        config.operation,
        _machine(config),
        RunCost(usage.cost_usd, _hours(config, rounds)),
    )


def _machine(config: Config) -> Machine:
    settings, vertex = config.operation, config.vertex
    if settings.machine or not vertex:
        name = settings.machine or CPU_MACHINE
        price = usd_per_hour(name)
    else:
        name, price = machine_of(vertex), price_of(vertex)
    return Machine(name, settings.machine_usd_per_hour or price)


def _hours(config: Config, rounds: Sequence[RoundSummary]) -> float:
    """Return the hours that the rounds took; where nobody kept them, as the price table assumes."""
    seconds = sum(entry.seconds for entry in rounds)
    if seconds or config.vertex is None:
        return seconds / 3600
    minutes = [
        machine_cost(config, is_first=entry.round == 1).accelerated_minutes for entry in rounds
    ]
    return sum(minutes) / 60
