import dataclasses
import math
import random

import numpy as np
import pytest

from core.reports.learning import LearningPoint
from judging.learning_curve import learning_curve, rows_to
from judging.rates import rate

ROWS = (200, 400, 800)
A, B = -4.4, 0.8  # of logit(rate) = A + B log(rows)
TRUTH = 3815  # rows at 90 %


def _rate_at(rows):
    return 1 / (1 + math.exp(-(A + B * math.log(rows))))


def _answered(rng, prompts, rows):
    """Whether each prompt is covered, by round: easy prompts are learned first, in all rounds."""
    ease = [rng.random() for _ in range(prompts)]
    return np.array([[float(e < _rate_at(n)) for e in ease] for n in rows])


@pytest.fixture
def rounds(verdict_row):
    """Rounds of 20 prompts by (rows, covered)."""

    def make(*found):
        verdicts = [[verdict_row(str(n), n < covered) for n in range(20)] for _, covered in found]
        points = [
            LearningPoint(round=number, rows=rows, rate=rate(verdicts[number - 1]))
            for number, (rows, _) in enumerate(found, 1)
        ]
        return points, verdicts

    return make


def _curve(rounds, threshold=90.0):
    return learning_curve(*rounds, split="holdout", threshold_percent=threshold)


def test_the_rows_to_the_threshold_are_read_off_a_known_curve():
    shares = np.array([[_rate_at(rows)] * 1_000 for rows in ROWS])
    found = rows_to(0.9, np.array(ROWS, dtype=float), shares)
    assert found.rows == pytest.approx(TRUTH, rel=0.01)


def test_the_interval_holds_the_truth_in_about_95_of_100_loops():
    rng = random.Random(7)
    held = 0
    for _ in range(100):
        found = rows_to(0.9, np.array(ROWS, dtype=float), _answered(rng, 150, ROWS))
        high = math.inf if found.high is None else found.high
        held += found.low is not None and found.low <= TRUTH <= high
    assert 90 <= held <= 99


def test_the_estimate_comes_with_its_interval(rounds):
    curve = _curve(rounds((100, 6), (200, 9), (400, 13)))
    assert [point.rows for point in curve.points] == [100, 200, 400]
    assert curve.low_rows < curve.rows_to_threshold
    assert f"about {curve.rows_to_threshold:,} training rows" in curve.conclusion
    assert f"from {curve.low_rows:,}" in curve.conclusion


def test_one_round_says_nothing_about_more_rows(rounds):
    curve = _curve(rounds((400, 10)))
    assert curve.rows_to_threshold is None
    assert curve.conclusion == "The rows to the threshold cannot be estimated from one round."


def test_rounds_with_equally_many_rows_say_as_little(rounds):
    assert "equally many" in _curve(rounds((400, 10), (400, 12))).conclusion


def test_a_round_that_more_rows_made_worse_gives_no_estimate(rounds):
    curve = _curve(rounds((100, 12), (200, 11), (400, 9)))
    assert curve.rows_to_threshold is None
    assert "did not raise the rate" in curve.conclusion


def test_a_threshold_that_was_reached_is_not_estimated(rounds):
    curve = _curve(rounds((400, 19), (200, 10)))
    assert curve.conclusion == "The threshold was reached with 400 training rows."
    assert [point.rows for point in curve.points] == [200, 400], "by rows"


def test_rounds_that_share_too_few_prompts_give_no_estimate(rounds):
    points, verdicts = rounds((100, 6), (400, 13))
    verdicts[1] = [dataclasses.replace(row, id=f"other-{row.id}") for row in verdicts[1]]
    assert "prompts in common" in _curve((points, verdicts)).conclusion
