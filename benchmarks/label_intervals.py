"""How often, and how narrowly, rates corrected by human labels hold the truth, by simulation.

`python -m benchmarks.label_intervals` prints Markdown tables; it takes some minutes and gives the
same numbers every time. It compares the prediction-powered rate with the Rogan-Gladen correction
and with Wilson's interval of the labels alone, all from the same labels: drawn at random, then in
the order in which `understudy label` asks for them.
"""

import argparse
import itertools
import random
import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

from benchmarks.simulation import print_head, print_row
from core.reports.rates import RateEstimate
from judging.calibration import JudgeErrors, corrected_rate
from judging.label_order import Stratum, inclusion_probabilities, label_order
from judging.prediction_powered import SampledRow, prediction_powered_rate
from judging.rates import percent, wilson

_JUDGES = {"lenient": (0.95, 0.8), "strict": (0.8, 0.95), "noisy": (0.85, 0.85)}
_STRICT_SCORER = (0.85, 0.95)  # misses right answers in other words; some references are wrong
_STRATA: dict[tuple[bool, bool], Stratum] = {
    (True, True): "both",
    (True, False): "judge only",
    (False, True): "strict only",
    (False, False): "neither",
}
_WANTED = (0.93, 0.97)


class Response(NamedTuple):
    """What people, the judge and the strict scorer say of a response."""

    people: bool
    judge: bool
    strict: bool


class Interval(NamedTuple):
    """One method's interval in one simulation: whether it held the truth, and its width."""

    held: bool
    width: float


class Outcome(NamedTuple):
    """The three methods' intervals from the same labels."""

    ours: Interval
    rogan_gladen: Interval
    labels_alone: Interval


def responses(
    generator: random.Random, prompts: int, truth: float, judge: tuple[float, float]
) -> list[Response]:
    """Draw the responses of one evaluation.

    Args:
        generator: The source of chance.
        prompts: Number of responses.
        truth: Share that people would accept.
        judge: Its sensitivity and specificity.
    """
    people = [generator.random() < truth for _ in range(prompts)]
    return [
        Response(yes, _says(generator, yes, judge), _says(generator, yes, _STRICT_SCORER))
        for yes in people
    ]


def at_random(generator: random.Random, rows: Sequence[Response], labels: int) -> list[float]:
    """Draw labels at random; return each row's probability, negative where it was not drawn."""
    drawn = set(generator.sample(range(len(rows)), labels))
    share = labels / len(rows)
    return [share if number in drawn else -share for number in range(len(rows))]


def in_order(generator: random.Random, rows: Sequence[Response], labels: int) -> list[float]:
    """Draw labels in the order of `understudy label`; probabilities as in `at_random`."""
    strata = {number: _STRATA[row.judge, row.strict] for number, row in enumerate(rows)}
    drawn = set(label_order(strata, labels, seed=generator.getrandbits(32))[:labels])
    shares = inclusion_probabilities(strata, drawn)
    return [
        shares[stratum] if number in drawn else -shares[stratum]
        for number, stratum in strata.items()
    ]


Draw = Callable[[random.Random, Sequence[Response], int], list[float]]


def simulate(
    generator: random.Random, prompts: int, labels: int, judge: tuple[float, float], draw: Draw
) -> Outcome | None:
    """Simulate one evaluation; None where one of the methods gives no rate."""
    truth = generator.uniform(0.3, 0.95)
    rows = responses(generator, prompts, truth, judge)
    probabilities = draw(generator, rows, labels)
    drawn = [row for row, share in zip(rows, probabilities, strict=True) if share > 0]
    if not all(probabilities):
        return None
    ours = prediction_powered_rate(
        [
            SampledRow(
                id=str(number),
                groups=((row.judge, row.strict), row.judge),
                probability=abs(share),
                covered=row.people if share > 0 else None,
            )
            for number, (row, share) in enumerate(zip(rows, probabilities, strict=True))
        ]
    )
    errors = JudgeErrors(
        positives=sum(row.people for row in drawn),
        found=sum(row.people and row.judge for row in drawn),
        negatives=sum(not row.people for row in drawn),
        rejected=sum(not row.people and not row.judge for row in drawn),
    )
    gladen = corrected_rate(sum(row.judge for row in rows) / prompts, prompts, errors)
    if ours is None or gladen is None:
        return None
    share = sum(row.people for row in drawn) / len(drawn)
    low, high = wilson(share, len(drawn))
    alone = RateEstimate(
        rate_percent=percent(share), low_percent=percent(low), high_percent=percent(high)
    )
    return Outcome(*(_interval(estimate, truth) for estimate in (ours, gladen, alone)))


def main() -> None:
    """Run all simulations and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2000, help="simulations for each figure")
    runs = parser.parse_args().runs
    held, narrower = [], []
    for title, draw in (
        ("Labels drawn at random", at_random),
        ("Labels in the order of `understudy label`", in_order),
    ):
        print_head(
            title,
            "judge", "labels", "prompts", "holds the truth", "width",
            "Rogan-Gladen holds", "width", "labels alone hold", "width",
        )  # fmt: skip
        for judge, labels, prompts in itertools.product(_JUDGES, (50, 100, 150), (172, 300)):
            generator = random.Random(1)
            found = [
                outcome
                for _ in range(runs)
                if (outcome := simulate(generator, prompts, labels, _JUDGES[judge], draw))
            ]
            figures = [figure for method in zip(*found, strict=True) for figure in _mean(method)]
            print_row(judge, labels, prompts, *figures)
            held.append(figures[0])
            narrower.append(figures[1] <= figures[3])
        print()
    print(
        f"In all {len(held)} settings the prediction-powered interval holds the truth in "
        f"{min(held):.1%} to {max(held):.1%} of the simulations (wanted: {_WANTED[0]:.0%} to "
        f"{_WANTED[1]:.0%}), and in {sum(narrower)} of them it is no wider than Rogan-Gladen's. "
        "Labels that are not drawn at random make the other two wrong: they take a sample that "
        "prefers doubtful rows for the whole."
    )


def _mean(method: Sequence[Interval]) -> tuple[float, float]:
    return statistics.fmean(i.held for i in method), statistics.fmean(i.width for i in method)


def _interval(estimate: RateEstimate, truth: float) -> Interval:
    held = estimate.low_percent <= 100 * truth <= estimate.high_percent
    return Interval(held, (estimate.high_percent - estimate.low_percent) / 100)


def _says(generator: random.Random, yes: bool, rater: tuple[float, float]) -> bool:
    sensitivity, specificity = rater
    return generator.random() < (sensitivity if yes else 1 - specificity)


if __name__ == "__main__":
    main()
