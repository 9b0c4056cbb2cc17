"""How often the intervals of the coverage report hold the truth, by simulation.

`python -m benchmarks.evaluator_intervals` prints a Markdown table; it takes 20 seconds and
gives the same numbers every time. The intervals are those of `components.llm_evaluator`; the naive
ones beside them ignore that samples of one prompt belong together, or that the judge errs.
"""

import argparse
import random
from collections.abc import Callable
from typing import NamedTuple

from components.llm_evaluator.calibration import JudgeErrors, corrected_rate
from components.llm_evaluator.comparison import mcnemar_exact
from components.llm_evaluator.rates import effective_size, wilson

_SAMPLES = 4
_SENSITIVITY, _SPECIFICITY = 0.95, 0.8
_POSITIVE_LABELS, _NEGATIVE_LABELS = 60, 40


class Hit(NamedTuple):
    """Whether the interval of the component and the naive one held the truth in one simulation."""

    ours: bool
    naive: bool


def one_sample(generator: random.Random, prompts: int) -> Hit:
    """One response for each prompt; the naive interval is Wald's."""
    truth = generator.uniform(0.05, 0.95)
    share = _draw(generator, prompts, truth) / prompts
    low, high = wilson(share, prompts)
    spread = 1.96 * (share * (1 - share) / prompts) ** 0.5
    return Hit(low <= truth <= high, share - spread <= truth <= share + spread)


def several_samples(generator: random.Random, prompts: int) -> Hit:
    """Four responses for each prompt, some prompts harder than others."""
    truth = generator.uniform(0.15, 0.9)
    clusters = []
    for _ in range(prompts):
        own = generator.betavariate(truth, 1 - truth)
        clusters.append([generator.random() < own for _ in range(_SAMPLES)])
    size = prompts * _SAMPLES
    share = sum(map(sum, clusters)) / size
    low, high = wilson(share, effective_size(clusters))
    naive_low, naive_high = wilson(share, size)
    return Hit(low <= truth <= high, naive_low <= truth <= naive_high)


def erring_judge(generator: random.Random, prompts: int) -> Hit:
    """A judge that is too lenient, measured with 100 human labels."""
    truth = generator.uniform(0.3, 0.9)
    seen = truth * _SENSITIVITY + (1 - truth) * (1 - _SPECIFICITY)
    share = _draw(generator, prompts, seen) / prompts
    errors = JudgeErrors(
        positives=_POSITIVE_LABELS,
        found=_draw(generator, _POSITIVE_LABELS, _SENSITIVITY),
        negatives=_NEGATIVE_LABELS,
        rejected=_draw(generator, _NEGATIVE_LABELS, _SPECIFICITY),
    )
    found = corrected_rate(share, prompts, errors)
    ours = found is not None and found.low_percent <= 100 * truth <= found.high_percent
    low, high = wilson(share, prompts)
    return Hit(ours, low <= truth <= high)


def false_alarms(generator: random.Random, prompts: int, runs: int) -> float:
    """Share of comparisons of two equal models that the paired test calls significant."""
    alarms = 0
    for _ in range(runs):
        pairs = [(generator.random() < 0.7, generator.random() < 0.7) for _ in range(prompts)]
        alarms += mcnemar_exact(pairs.count((False, True)), pairs.count((True, False))) < 0.05
    return alarms / runs


def main() -> None:
    """Runs all simulations and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000, help="simulations for each figure")
    runs = parser.parse_args().runs
    cases: dict[str, Callable[[random.Random, int], Hit]] = {
        "one response a prompt": one_sample,
        f"{_SAMPLES} responses a prompt": several_samples,
        "lenient judge, 100 labels": erring_judge,
    }
    print("| case | prompts | holds the truth | naive interval |")
    print("|---|---|---|---|")
    for name, simulate in cases.items():
        for prompts in (40, 60, 120, 500):
            generator = random.Random(prompts)
            hits = [simulate(generator, prompts) for _ in range(runs)]
            ours, naive = (sum(values) / runs for values in zip(*hits, strict=True))
            print(f"| {name} | {prompts} | {ours:.1%} | {naive:.1%} |")
    alarms = false_alarms(random.Random(0), 60, runs)
    print(f"\nFalse alarms of the paired test between equal models, 60 prompts: {alarms:.1%}")


def _draw(generator: random.Random, count: int, share: float) -> int:
    return sum(generator.random() < share for _ in range(count))


if __name__ == "__main__":
    main()
