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
    if len(counts) <= _BASELINE or not counts[-1][1]:
        return None
    covered, total = map(sum, zip(*counts[:_BASELINE], strict=True))
    if not total:
        return None
    # The center is an estimate, too, and the same one at every look from here on.
    error = _standard_error(covered, total, of=1 / counts[-1][1] + 1 / total)
    center = covered / total
    return Limits(max(0.0, center - _SIGMAS * error), center, min(1.0, center + _SIGMAS * error))


def _standard_error(covered: int, total: int, *, of: float) -> float:
    """Return the standard error of a rate, or of a difference, with the inverse of its count.

    With one more of each kind, or the limits around 100 % would have no width. Only the width: a
    center that is moved is one that steady rates never reach.
    """
    usual = (covered + 1) / (total + 2)
    return math.sqrt(usual * (1 - usual) * of)


def drift(counts: Sequence[tuple[int, int]]) -> str | None:
    """Say whether the newest rates have drifted; None where chance explains them.

    Args:
        counts: See `limits`.

    Reference:
        Western Electric, Statistical quality control handbook (1956): one rate beyond three
        standard errors, or eight in a row on one side of the center. Here a rate within one prompt
        and one standard error of the center is on neither side: every look asks the same prompts,
        most of which are answered as before, and one that is not would make a run of all looks, as
        would a center that the first looks have met by chance.
    """
    found = limits(counts)
    if found is None:
        return None
    newest = counts[-1][0] / counts[-1][1]
    usual = f"{100 * found.center:.1f} % ({100 * found.low:.1f} to {100 * found.high:.1f} %)"
    if not found.low <= newest <= found.high:
        return f"{100 * newest:.1f} % is covered, usual is {usual}"
    # In prompts, rounded: exactly one is no more than one.
    off = [round(covered - found.center * total, 6) for covered, total in counts if total]
    run = off[_BASELINE:][-_RUN:]
    covered, total = map(sum, zip(*counts[:_BASELINE], strict=True))
    least = round(1 + counts[-1][1] * _standard_error(covered, total, of=1 / total), 6)
    if len(run) == _RUN and (max(run) < -least or min(run) > least):
        side = "below" if newest < found.center else "above"
        return f"the last {_RUN} rates are all {side} the usual {usual}"
    return None
