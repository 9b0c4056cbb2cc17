"""How often the intervals of the coverage report hold the truth, by simulation.

`python -m benchmarks.evaluator_intervals` prints Markdown tables; it takes a few minutes and gives
the same numbers every time. The intervals are those of `judging`; the naive ones next to them
ignore that samples of one prompt belong together, that the judge errs, or that two models answered
the same prompts.
"""

import argparse
import itertools
import math
import random
import statistics
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from benchmarks.simulation import draw, print_head, print_row
from judging.calibration import JudgeErrors, corrected_rate
from judging.comparison import mcnemar_exact, ratio_limits
from judging.rates import Observed, effective_size, wilson

_FIXED_TRUTHS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
# How much one prompt's samples agree beyond chance (their intra-class correlation).
_ALIKE = {"weakly": 0.2, "half": 0.5, "strongly": 0.8}
_JUDGES = {"lenient": (0.95, 0.8), "strict": (0.8, 0.95), "noisy": (0.85, 0.85)}


class Hit(NamedTuple):
    """Whether the interval of the component and the naive one held the truth in one simulation."""

    ours: bool
    naive: bool


def one_response(generator: random.Random, prompts: int) -> Hit:
    """One response for each prompt; the naive interval is Wald's."""
    truth = generator.uniform(0.05, 0.95)
    share = draw(generator, prompts, truth) / prompts
    low, high = wilson(share, prompts)
    spread = 1.96 * (share * (1 - share) / prompts) ** 0.5
    return Hit(low <= truth <= high, share - spread <= truth <= share + spread)


def held_exactly(prompts: int, truth: float) -> float:
    """How often the interval holds one fixed truth: summed over all outcomes, not simulated."""
    return sum(
        math.comb(prompts, k) * truth**k * (1 - truth) ** (prompts - k)
        for k in range(prompts + 1)
        if wilson(k / prompts, prompts).low <= truth <= wilson(k / prompts, prompts).high
    )


def several_responses(generator: random.Random, prompts: int, samples: int, alike: float) -> Hit:
    """Several responses for each prompt, some prompts harder than others."""
    truth = generator.uniform(0.15, 0.9)
    spread = 1 / alike - 1
    clusters = []
    for _ in range(prompts):
        own = generator.betavariate(truth * spread, (1 - truth) * spread)
        clusters.append([generator.random() < own for _ in range(samples)])
    size = prompts * samples
    share = sum(map(sum, clusters)) / size
    low, high = wilson(share, effective_size(clusters))
    naive_low, naive_high = wilson(share, size)
    return Hit(low <= truth <= high, naive_low <= truth <= naive_high)


def erring_judge(
    generator: random.Random, prompts: int, labels: int, judge: tuple[float, float]
) -> Hit:
    """Return a judge that errs, measured with human labels of which six in ten are positive."""
    sensitivity, specificity = judge
    truth = generator.uniform(0.3, 0.9)
    seen = truth * sensitivity + (1 - truth) * (1 - specificity)
    share = draw(generator, prompts, seen) / prompts
    positives = round(0.6 * labels)
    errors = JudgeErrors(
        positives=positives,
        found=draw(generator, positives, sensitivity),
        negatives=labels - positives,
        rejected=draw(generator, labels - positives, specificity),
    )
    found = corrected_rate(share, prompts, errors)
    ours = found is not None and found.low_percent <= 100 * truth <= found.high_percent
    low, high = wilson(share, prompts)
    return Hit(ours, low <= truth <= high)


def relative_coverage(generator: random.Random, prompts: int, together: float) -> Hit:
    """Return a tuned model's coverage in percent of the service LLM's on the same prompts."""
    own, other = generator.uniform(0.3, 0.95), generator.uniform(0.7, 0.98)
    outcomes = []
    for _ in range(prompts):
        hard = generator.random()
        same = hard if generator.random() < together else generator.random()
        outcomes.append((hard < own, same < other))
    over, under = (Observed(sum(side) / prompts, prompts) for side in zip(*outcomes, strict=True))
    try:
        correlation = statistics.correlation(*zip(*outcomes, strict=True))
    except statistics.StatisticsError:
        correlation = 0.0
    ours, naive = (ratio_limits(over, under, value) for value in (correlation, 0.0))
    return Hit(ours.low <= own / other <= ours.high, naive.low <= own / other <= naive.high)


def significant(generator: random.Random, prompts: int, gain: float, runs: int) -> float:
    """Share of comparisons of two rounds that the paired test calls more than noise.

    Seven prompts in ten are covered before; a fifth of all outcomes changes by chance alone.
    """
    alarms = 0
    for _ in range(runs):
        gained = draw(generator, prompts, 0.1 + gain)
        lost = draw(generator, prompts - gained, 0.1 / (0.9 - gain))
        alarms += mcnemar_exact(gained, lost) < 0.05
    return alarms / runs


def main() -> None:
    """Run all simulations and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=4000, help="simulations for each figure")
    runs = parser.parse_args().runs
    shares: list[float] = []
    for table in (_one_response, _several_responses, _erring_judge, _relative_coverage):
        shares += table(runs)
    print(
        f"All {len(shares)} settings above: the intervals hold the truth in {min(shares):.1%} to "
        f"{max(shares):.1%} of the simulations (wanted: 93 to 97 %).\n"
    )
    _paired_test(runs)


def _one_response(runs: int) -> list[float]:
    print_head(
        "One response for each prompt (Wilson)",
        "prompts", "holds the truth", "at a fixed truth, least", "most", "Wald's interval",
    )  # fmt: skip
    shares = []
    for prompts in (20, 40, 88, 172, 500):
        ours, naive = _measured(one_response, runs, prompts=prompts)
        fixed = [held_exactly(prompts, truth) for truth in _FIXED_TRUTHS]
        print_row(prompts, ours, min(fixed), max(fixed), naive)
        shares.append(ours)
    truths = ", ".join(f"{truth:.0%}" for truth in _FIXED_TRUTHS)
    print(f"\nThe truth is drawn from 5 to 95 %; the fixed truths are {truths}.\n")
    return shares


def _several_responses(runs: int) -> list[float]:
    print_head(
        "Several responses for each prompt (clustered)",
        "prompts", "responses", "alike", "holds the truth", "as if independent",
    )  # fmt: skip
    shares = []
    for prompts, samples, alike in itertools.product((40, 120), (2, 4, 8), _ALIKE):
        ours, naive = _measured(
            several_responses, runs, prompts=prompts, samples=samples, alike=_ALIKE[alike]
        )
        print_row(prompts, samples, alike, ours, naive)
        shares.append(ours)
    print()
    return shares


def _erring_judge(runs: int) -> list[float]:
    print_head(
        "Rates corrected by human labels",
        "judge", "labels", "prompts", "holds the truth", "uncorrected",
    )  # fmt: skip
    shares = []
    for judge, labels, prompts in itertools.product(_JUDGES, (50, 100, 200), (88, 300)):
        ours, naive = _measured(
            erring_judge, runs, prompts=prompts, labels=labels, judge=_JUDGES[judge]
        )
        print_row(judge, labels, prompts, ours, naive)
        shares.append(ours)
    print()
    return shares


def _relative_coverage(runs: int) -> list[float]:
    print_head(
        "Coverage in percent of the service LLM's",
        "prompts", "answers that stand or fall together", "holds the truth", "as if independent",
    )  # fmt: skip
    shares = []
    for prompts, together in itertools.product((40, 88, 172), (0.0, 0.5, 0.9)):
        ours, naive = _measured(relative_coverage, runs, prompts=prompts, together=together)
        print_row(prompts, f"{together:.0%}", ours, naive)
        shares.append(ours)
    print()
    return shares


def _paired_test(runs: int) -> None:
    gains = (0.0, 0.1, 0.2)
    print_head(
        "Changes between rounds that the paired test calls more than noise (p < 0.05)",
        "prompts", "no change", "10 points better", "20 points better",
    )  # fmt: skip
    for prompts in (40, 88, 172, 500):
        found = (significant(random.Random(prompts), prompts, gain, runs) for gain in gains)
        print_row(prompts, *found)


def _measured(simulate: Callable[..., Hit], runs: int, **setting: Any) -> Iterator[float]:
    generator = random.Random(1)
    hits = [simulate(generator, **setting) for _ in range(runs)]
    return (sum(values) / runs for values in zip(*hits, strict=True))


if __name__ == "__main__":
    main()
