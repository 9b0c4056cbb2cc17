import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from judging.rates import effective_size, observed, rate, rates, wilson

_RUNS = 4000


@pytest.mark.parametrize(
    ("covered", "total", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        pytest.param(81, 263, 0.2553, 0.3662, id="81 of 263"),
        pytest.param(15, 148, 0.0624, 0.1605, id="15 of 148"),
        pytest.param(0, 20, 0.0000, 0.1611, id="0 of 20"),
        pytest.param(1, 29, 0.0061, 0.1718, id="1 of 29"),
    ],
)
def test_wilson_gives_the_published_intervals(covered, total, low, high):
    assert wilson(covered / total, total) == pytest.approx((low, high), abs=5e-5)


@given(covered=st.integers(0, 200), missed=st.integers(0, 200))
def test_wilson_agrees_with_scipy(covered, missed):
    if total := covered + missed:
        expected = binomtest(covered, total).proportion_ci(method="wilson")
        assert wilson(covered / total, total) == pytest.approx((expected.low, expected.high))


def test_without_rows_nothing_is_known():
    assert wilson(0.0, 0) == (0.0, 1.0)
    assert rate([]).high_percent == 100.0


def test_the_interval_holds_the_true_rate_in_93_to_97_of_100_evaluations():
    for size in (20, 40, 60, 120, 500):
        generator = random.Random(size)
        hits = 0
        for _ in range(_RUNS):
            truth = generator.uniform(0.05, 0.95)
            covered = sum(generator.random() < truth for _ in range(size))
            low, high = wilson(covered / size, size)
            hits += low <= truth <= high
        assert 0.93 <= hits / _RUNS <= 0.97, f"{hits / _RUNS:.3f} with {size} prompts"


def _beta_binomial(generator, prompts, samples, mean, spread):
    """Outcomes whose success rate differs from prompt to prompt; a small spread clusters them."""
    clusters = []
    for _ in range(prompts):
        share = generator.betavariate(mean * spread, (1 - mean) * spread)
        clusters.append([generator.random() < share for _ in range(samples)])
    return clusters


@pytest.mark.parametrize("spread", [0.3, 1.0, 5.0], ids=["strong", "middling", "weak"])
@pytest.mark.parametrize("prompts", [40, 120])
def test_with_several_samples_the_interval_still_holds_the_true_rate(prompts, spread):
    generator = random.Random(prompts)
    hits = 0
    for _ in range(_RUNS):
        truth = generator.uniform(0.15, 0.9)
        clusters = _beta_binomial(generator, prompts, 4, truth, spread)
        share = sum(map(sum, clusters)) / (4 * prompts)
        low, high = wilson(share, effective_size(clusters))
        hits += low <= truth <= high
    assert 0.93 <= hits / _RUNS <= 0.97, f"{hits / _RUNS:.3f}"


@pytest.mark.parametrize(
    ("clusters", "size"),
    [
        pytest.param([[True], [False], [True]], 3, id="one sample each"),
        pytest.param([[True] * 4, [False] * 4, [True] * 4], 3, id="samples of a prompt agree"),
        pytest.param([[True] * 4, [True] * 4], 2, id="everything covered"),
        pytest.param([[True, False], [False, True]] * 4, 16, id="samples differ as by chance"),
    ],
)
def test_samples_are_worth_as_much_as_they_differ(clusters, size):
    assert effective_size(clusters) == pytest.approx(size)


def test_samples_of_one_prompt_widen_the_interval(verdict_row):
    rows = [verdict_row(str(n), n % 4 > 0, sample=s) for n in range(20) for s in range(5)]
    alone = rate([verdict_row(str(n), n % 4 > 0) for n in range(20)])
    together = rate(rows)
    assert together.total == 100
    assert together.low_percent == pytest.approx(alone.low_percent)
    assert observed(rows).size == pytest.approx(20)


def test_an_unscored_row_counts_as_not_covered_and_is_shown(verdict_row):
    rows = [verdict_row("1", True), verdict_row("2", False, scored=False)]
    found = rate(rows)
    assert (found.covered, found.total, found.unscored) == (1, 2, 1)
    assert found.rate_percent == 50.0


def test_rates_are_given_overall_by_split_and_by_tag(verdict_row):
    rows = [
        verdict_row("1", True, split="seed", tags=("typos",)),
        verdict_row("2", False, split="holdout", tags=("typos", "long")),
        verdict_row("3", True, split="holdout"),
    ]
    found = rates(rows)
    counts = {key: (found[key].covered, found[key].total) for key in ("overall", "seed", "holdout")}
    assert counts == {"overall": (2, 3), "seed": (1, 1), "holdout": (1, 2)}
    tags = {tag: (r.covered, r.total) for tag, r in found.tags.items()}
    assert tags == {"long": (0, 1), "typos": (1, 2)}
