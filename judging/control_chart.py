"""A control chart of rates: tells drift from chance."""

import math
from collections.abc import Sequence
from typing import NamedTuple

_SIGMAS = 3.0
_RUN = 8  # rates in a row on one side of the center
_BASELINE = 5  # rates that set the center


class Limits(NamedTuple):
    """Control limits of a rate, as shares from 0 to 1.

    Attributes:
        low: Lower limit.
        center: The usual rate.
        high: Upper limit.
    """

    low: float
    center: float
    high: float


def limits(counts: Sequence[tuple[int, int]]) -> Limits | None:
    """Return the limits for the newest rate, from the first ones; None before there are enough.

    Args:
        counts: Covered prompts and all prompts of each look, the oldest first, of one service.

    Reference:
        W. A. Shewhart, Economic control of quality of manufactured product (1931): the p-chart.
    """
    baseline = counts[:_BASELINE]
    size = counts[-1][1] if counts else 0
    if len(counts) <= _BASELINE or not size:
        return None
    # With one more of each kind, or the limits around 100 % would have no width.
    center = (sum(covered for covered, _ in baseline) + 1) / (
        sum(total for _, total in baseline) + 2
    )
    spread = _SIGMAS * math.sqrt(center * (1 - center) / size)
    return Limits(max(0.0, center - spread), center, min(1.0, center + spread))


def drift(counts: Sequence[tuple[int, int]]) -> str | None:
    """Say whether the newest rates have drifted; None where chance explains them.

    Args:
        counts: See `limits`.

    Reference:
        Western Electric, Statistical quality control handbook (1956): one rate beyond three
        standard errors, or eight in a row on one side of the center.
    """
    found = limits(counts)
    if found is None:
        return None
    rates = [covered / total for covered, total in counts if total]
    newest = rates[-1]
    usual = f"{100 * found.center:.0f} % ({100 * found.low:.0f} to {100 * found.high:.0f} %)"
    if not found.low <= newest <= found.high:
        return f"{100 * newest:.0f} % is covered, usual is {usual}"
    run = rates[_BASELINE:][-_RUN:]
    if len(run) == _RUN and (
        all(rate < found.center for rate in run) or all(rate > found.center for rate in run)
    ):
        side = "below" if newest < found.center else "above"
        return f"the last {_RUN} rates are all {side} the usual {usual}"
    return None
