"""How optimistic the holdout's rate is after the best round was chosen by it, by simulation.

`python -m benchmarks.selection` prints a Markdown table; it takes about a minute and gives the same
numbers every time. A loop judges every round on the same holdout prompts and keeps the best one.
The same kept round is then judged once on prompts that no round was chosen by, the split `test`.
"""

import argparse
import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks.simulation import print_head, print_row
from judging.rates import wilson

_HOLDOUT_PROMPTS = 88
_TEST_PROMPTS = 200
_ROUNDS = range(1, 9)
_ALIKE = 0.5  # share of prompts whose outcome hangs on the prompt rather than on the round
_DRIFT = (0.0, 0.03)  # how far a round's true rate moves from the round before, at random
_WANTED = (0.93, 0.97)


class Look(NamedTuple):
    """What one split says of the kept round: whether its interval held the truth, and its error."""

    held: bool
    optimism: float


class Loop(NamedTuple):
    """The kept round, as both splits see it."""

    holdout: Look
    test: Look


def simulate(generator: random.Random, rounds: int, drift: float) -> Loop:
    """Simulate a loop.

    Args:
        generator: The source of chance.
        rounds: How often the holdout was judged.
        drift: Standard deviation by which the true rate moves from round to round.
    """
    truths = list(_true_rates(generator, rounds, drift))
    difficulty = [generator.random() for _ in range(_HOLDOUT_PROMPTS)]
    seen = [_covered(generator, difficulty, truth) for truth in truths]
    kept = max(range(rounds), key=lambda number: (seen[number], -number))
    fresh = [generator.random() for _ in range(_TEST_PROMPTS)]
    tested = _covered(generator, fresh, truths[kept])
    return Loop(
        holdout=_look(seen[kept], _HOLDOUT_PROMPTS, truths[kept]),
        test=_look(tested, _TEST_PROMPTS, truths[kept]),
    )


def main() -> None:
    """Run all simulations and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=4000, help="simulations for each figure")
    runs = parser.parse_args().runs
    print_head(
        "The kept round's rate after several looks at the holdout",
        "rounds", "rounds differ by", "holdout holds the truth", "holdout's optimism",
        "test holds the truth", "test's optimism",
    )  # fmt: skip
    held: dict[str, list[float]] = {"holdout": [], "test": []}
    for drift in _DRIFT:
        for rounds in _ROUNDS:
            generator = random.Random(rounds)
            loops = [simulate(generator, rounds, drift) for _ in range(runs)]
            cells: list[str | float] = []
            for split in ("holdout", "test"):
                looks = [getattr(loop, split) for loop in loops]
                held[split].append(sum(look.held for look in looks) / runs)
                optimism = 100 * sum(look.optimism for look in looks) / runs
                cells += [held[split][-1], f"{optimism:+.1f} points"]
            print_row(rounds, f"{100 * drift:.0f} points", *cells)
    print(
        f"\nIn loops of {_ROUNDS[0]} to {_ROUNDS[-1]} rounds the test split's interval holds the "
        f"truth in {min(held['test']):.1%} to {max(held['test']):.1%} of the simulations (wanted: "
        f"{_WANTED[0]:.0%} to {_WANTED[1]:.0%}), the holdout's after selection in "
        f"{min(held['holdout']):.1%} to {max(held['holdout']):.1%}."
    )


def _true_rates(generator: random.Random, rounds: int, drift: float) -> Iterator[float]:
    rate = generator.uniform(0.5, 0.9)
    for _ in range(rounds):
        yield rate
        rate = min(0.98, max(0.02, rate + generator.gauss(0, drift)))


def _covered(generator: random.Random, difficulty: Sequence[float], truth: float) -> int:
    """Count covered prompts; the hard ones of one round are mostly hard in the others, too."""
    return sum(
        (hard if generator.random() < _ALIKE else generator.random()) < truth for hard in difficulty
    )


def _look(covered: int, prompts: int, truth: float) -> Look:
    share = covered / prompts
    low, high = wilson(share, prompts)
    return Look(low <= truth <= high, share - truth)


if __name__ == "__main__":
    main()
