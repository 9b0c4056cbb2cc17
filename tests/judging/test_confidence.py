"""The threshold of confidence keeps its promise, and says when it cannot make one."""

import functools
import random

import pytest

from judging.confidence import Graded, binomial_tail, choose, curve


def graded(size: int, seed: int) -> list[Graded]:
    """Answers that are right with a probability that rises with their confidence."""
    generator = random.Random(seed)
    answers = []
    for _ in range(size):
        log = -generator.expovariate(4)
        answers.append(Graded(log, generator.random() < truth(log)))
    return answers


def truth(log: float) -> float:
    return max(0.5, 1 + 0.6 * log)


@functools.cache
def many() -> list[float]:
    generator = random.Random(0)
    return [-generator.expovariate(4) for _ in range(20_000)]


def rate_above(threshold: float) -> float:
    kept = [truth(log) for log in many() if log >= threshold]
    return 100 * sum(kept) / len(kept)


def test_the_curve_keeps_equal_confidences_together():
    answers = [Graded(-0.1, True), Graded(-0.3, False), Graded(-0.2, True), Graded(-0.2, False)]
    points = [(point.kept, point.threshold, point.right.rate_percent) for point in curve(answers)]
    assert points == [(1, -0.1, 100.0), (3, -0.2, 66.67), (4, -0.3, 50.0)]


def test_the_chosen_threshold_has_the_wanted_rate_in_19_of_20_cases():
    missed = chosen = 0
    for seed in range(100):
        found = choose(graded(400, seed), 90).kept
        if found is not None:
            chosen += 1
            missed += rate_above(found.threshold) < 90
    assert chosen > 60
    assert missed <= 0.05 * 100


def test_a_model_that_is_always_right_keeps_all():
    answers = [Graded(-0.01 * number, True) for number in range(200)]
    found = choose(answers, 95)
    assert (found.kept.kept, found.kept.threshold) == (200, -1.99)
    assert "200 surest of 200 answers 100.0 % are right (98.1 to 100.0 %)" in found.reason


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([Graded(-0.1, True)] * 20, "with 20 answers it cannot be shown; 80 that are all right"),
        ([Graded(-0.1 * n, n % 2 == 0) for n in range(200)], "the surest answers are not right"),
        ([], "with 0 answers"),
    ],
    ids=["too few", "too bad", "none"],
)
def test_without_a_threshold_it_says_why(answers, why):
    found = choose(answers, 95)
    assert found.kept is None
    assert why in found.reason
    assert "serving.confidence.right_percent" in found.reason


def test_the_tail_is_exact():
    assert binomial_tail(0, 10, 0.3) == pytest.approx(1.0)
    assert binomial_tail(10, 10, 0.5) == pytest.approx(0.5**10)
    assert binomial_tail(9, 10, 0.5) == pytest.approx(11 * 0.5**10)
