"""How often verdicts on a switch are wrong, and how many pairs the right ones take, by simulation.

`python -m benchmarks.switching` prints Markdown tables; it takes two minutes and gives the same
numbers every time. Every stream of pairs is looked at after each pair. The peer in the same run is
a 95 % interval of the paired difference (Wald's, as dashboards draw it) that is looked at as
often, after the first 100 pairs.
"""

import argparse
import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.simulation import print_head, print_row
from judging.anytime import ALPHA, log_gains

_MARGIN = 0.03
_PAIRS = 30_000  # until a stream is given up
_FIRST_LOOK = 100  # of the peer
_Z = 1.959963984540054
# Share of requests at which one of the two is right and the other is not, where both are as good.
_DISAGREEMENT = {"4 %": 0.02, "10 %": 0.05, "20 %": 0.10}
_DIFFER = "where both are as good, they differ on"
_TRUTHS = {"as good": 0.0, "2 points worse": -0.02, "5 points worse": -0.05, "8 points": -0.08}

Floats = npt.NDArray[np.float64]


class Stream(NamedTuple):
    """When a stream of pairs was decided, in pairs; infinite where it was not.

    Attributes:
        safe: As safe.
        worse: As worse.
    """

    safe: float
    worse: float

    @property
    def state(self) -> str:
        """What was said first."""
        if self.safe == self.worse == math.inf:
            return "not yet"
        return "safe" if self.safe < self.worse else "worse"


def differences(generator: np.random.Generator, truth: float, each: float) -> Floats:
    """Draw the differences of a stream, of shape `(_PAIRS,)`.

    Args:
        generator: Draws them.
        truth: Their mean.
        each: Share of pairs that only the model gets right.
    """
    draws = generator.random(_PAIRS)
    lost = draws > 1 - (each - truth)
    return (draws < each).astype(np.float64) - lost


def by_betting(values: Floats) -> Stream:
    """Decide as `judging.switching` does, after every pair."""
    counts = np.cumsum(np.stack([values > 0, values == 0, values < 0], axis=1), axis=0)
    up = log_gains([1.0, 0.0, -1.0], -_MARGIN)
    down = log_gains([-1.0, 0.0, 1.0], _MARGIN)
    limit = -math.log(ALPHA / 2)
    return Stream(*(_first(_log_mean_exp(counts @ gains) >= limit) for gains in (up, down)))


def by_fixed_interval(values: Floats) -> Stream:
    """Decide by an interval that is made for a single look, after every pair."""
    size = np.arange(1, _PAIRS + 1)
    mean = np.cumsum(values) / size
    variance = np.maximum(np.cumsum(values**2) / size - mean**2, 1e-12)
    spread = _Z * np.sqrt(variance / size)
    is_due = size >= _FIRST_LOOK
    return Stream(
        _first(is_due & (mean - spread > -_MARGIN)), _first(is_due & (mean + spread < -_MARGIN))
    )


def main() -> None:
    """Run the simulations and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=400, help="streams for each figure")
    runs = parser.parse_args().runs
    print_head(
        f"Wrong verdicts: the model is exactly the margin ({_MARGIN:.0%}) worse, or 1 point beyond "
        f"it; one look after each of {_PAIRS:,} pairs",
        _DIFFER, "the model is", "wrong verdicts", "with an interval for one look",
    )  # fmt: skip
    for name, each in _DISAGREEMENT.items():
        for beyond in (0.0, 0.01):
            ours, peer = _wrong(runs, each, -_MARGIN - beyond)
            truth = "at the margin" if not beyond else "1 point worse than that"
            print_row(name, truth, ours, peer)
    print()
    print_head(
        f"Pairs until the verdict, margin {_MARGIN:.0%}",
        _DIFFER, "the model is", "safe", "worse", "not yet", "half of the verdicts by",
        "nine in ten by",
    )  # fmt: skip
    for name, each in _DISAGREEMENT.items():
        for truth, mean in _TRUTHS.items():
            print_row(name, truth, *_found(runs, each, mean))


def _wrong(runs: int, each: float, truth: float) -> tuple[float, float]:
    generator = np.random.default_rng(1)
    wrong = np.zeros(2)
    for _ in range(runs):
        values = differences(generator, truth, each)
        for number, decide in enumerate((by_betting, by_fixed_interval)):
            state = decide(values).state
            # At the margin itself, neither "less" nor "more" is right.
            wrong[number] += state == "safe" or (truth == -_MARGIN and state == "worse")
    ours, peer = wrong / runs
    return float(ours), float(peer)


def _found(runs: int, each: float, truth: float) -> tuple[str | float, ...]:
    generator = np.random.default_rng(2)
    streams = [by_betting(differences(generator, truth, each)) for _ in range(runs)]
    states = [stream.state for stream in streams]
    sizes = sorted(min(stream.safe, stream.worse) for stream in streams)
    shares = [states.count(state) / runs for state in ("safe", "worse", "not yet")]
    return (*shares, *(_size(sizes[int(share * runs)]) for share in (0.5, 0.9)))


def _size(size: float) -> str:
    return f"more than {_PAIRS:,}" if math.isinf(size) else f"{size:,.0f}"


def _first(is_true: npt.NDArray[np.bool_]) -> float:
    return float(np.argmax(is_true)) + 1 if is_true.any() else math.inf


def _log_mean_exp(logs: Floats) -> Floats:
    top: Floats = logs.max(axis=1)
    return top + np.log(np.exp(logs - top[:, None]).mean(axis=1))


if __name__ == "__main__":
    main()
