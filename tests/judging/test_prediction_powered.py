import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judging.prediction_powered import SampledRow, prediction_powered_rate
from judging.rates import wilson


def _rows(counts, probability=1.0):
    """Rows by judge's verdict: (verdict, covered, not covered, without label)."""
    rows = []
    for verdict, yes, no, unlabelled in counts:
        for label in [True] * yes + [False] * no + [None] * unlabelled:
            rows.append(SampledRow(str(len(rows)), (verdict,), probability, label))
    return rows


def test_labels_correct_a_lenient_judge():
    # The judge accepts 80 of 100; people accept 15 of 20 of these and 1 of 5 of the others.
    found = prediction_powered_rate(_rows([(True, 15, 5, 60), (False, 1, 4, 15)], 0.25))
    assert found.rate_percent == pytest.approx(100 * (0.8 * 0.75 + 0.2 * 0.2))
    assert found.low_percent < found.rate_percent < found.high_percent


def test_with_every_response_labelled_the_judge_does_not_matter():
    one = prediction_powered_rate(_rows([(True, 60, 10, 0), (False, 5, 25, 0)]))
    assert one.rate_percent == pytest.approx(65)
    low, high = wilson(0.65, 100)
    assert one.low_percent == pytest.approx(100 * low, abs=0.5)
    assert one.high_percent == pytest.approx(100 * high, abs=0.5)


def test_a_judge_that_is_always_right_makes_few_labels_worth_many():
    labels = prediction_powered_rate(_rows([("any", 14, 6, 180)], 0.1))
    both = prediction_powered_rate(_rows([(True, 14, 0, 126), (False, 0, 6, 54)], 0.1))
    assert both.rate_percent == labels.rate_percent == 70
    widths = [found.high_percent - found.low_percent for found in (both, labels)]
    assert widths[0] < 0.6 * widths[1]


def test_a_draw_that_prefers_doubtful_rows_is_weighed_back():
    # Of 40 doubtful rows all were labelled, of 160 clear ones each with probability 1/8.
    doubtful = [SampledRow(f"d{n}", ("doubtful",), 1.0, n < 10) for n in range(40)]
    clear = [SampledRow(f"c{n}", ("clear",), 1 / 8, True if n < 20 else None) for n in range(160)]
    found = prediction_powered_rate(doubtful + clear)
    assert found.rate_percent == pytest.approx(100 * (0.2 * 0.25 + 0.8 * 1))
    merged = [row._replace(groups=()) for row in doubtful + clear]
    assert prediction_powered_rate(merged).rate_percent == pytest.approx(found.rate_percent)


def test_a_group_with_one_label_is_merged_with_the_next_coarser_one():
    fine = [
        SampledRow("a", (("yes", 1), "yes"), 0.5, True),
        *(SampledRow(f"b{n}", (("yes", 2), "yes"), 0.5, n % 2 == 0) for n in range(6)),
        *(SampledRow(f"c{n}", (("no", 1), "no"), 0.5, n == 0) for n in range(4)),
        *(SampledRow(f"u{n}", (("yes", 1), "yes"), 0.5, None) for n in range(9)),
    ]
    coarse = [row._replace(groups=row.groups[1:]) for row in fine]
    assert prediction_powered_rate(fine) == prediction_powered_rate(coarse)


@pytest.mark.parametrize(
    "counts",
    [
        pytest.param([], id="no response"),
        pytest.param([(True, 0, 0, 50)], id="no label"),
        pytest.param([(True, 1, 0, 50)], id="one label"),
    ],
)
def test_nothing_is_estimated_from_next_to_no_labels(counts):
    assert prediction_powered_rate(_rows(counts)) is None


@pytest.mark.parametrize("probability", [0.0, -0.1, 1.5, float("nan")])
def test_a_probability_outside_0_to_1_is_refused(probability):
    with pytest.raises(ValueError, match="probabilities"):
        prediction_powered_rate(_rows([(True, 3, 1, 0)], probability))


def test_labels_that_are_all_alike_are_no_certainty():
    found = prediction_powered_rate(_rows([(True, 10, 0, 70), (False, 0, 4, 16)], 0.14))
    assert found.low_percent < 78
    assert found.high_percent > 82


def test_samples_of_one_prompt_make_the_interval_wider():
    alone = _rows([(True, 30, 10, 40), (False, 5, 15, 20)], 0.5)
    together = [row._replace(id=str(number // 4)) for number, row in enumerate(alone)]
    widths = [
        found.high_percent - found.low_percent
        for found in map(prediction_powered_rate, (alone, together))
    ]
    assert widths[1] > 1.2 * widths[0]


@given(
    counts=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 9), st.integers(0, 30)),
        max_size=4,
    )
)
def test_any_counts_give_a_rate_inside_its_interval_or_none(counts):
    found = prediction_powered_rate(_rows(counts, 0.5))
    if found is not None:
        assert 0 <= found.low_percent <= found.rate_percent <= found.high_percent <= 100


@pytest.mark.parametrize("judge", [(0.95, 0.8), (0.8, 0.95)], ids=["lenient", "harsh"])
def test_the_interval_holds_the_true_rate(judge):
    generator = random.Random(11)
    sensitivity, specificity = judge
    hits = 0
    runs = 1000
    for _ in range(runs):
        truth = generator.uniform(0.3, 0.95)
        rows = []
        drawn = set(generator.sample(range(120), 50))
        for number in range(120):
            yes = generator.random() < truth
            says = generator.random() < (sensitivity if yes else 1 - specificity)
            rows.append(
                SampledRow(str(number), (says,), 50 / 120, yes if number in drawn else None)
            )
        found = prediction_powered_rate(rows)
        hits += found.low_percent <= 100 * truth <= found.high_percent
    assert 0.93 <= hits / runs <= 0.97, f"{hits / runs:.3f}"


@pytest.mark.parametrize("groups", [("any",), ()], ids=["one group", "all rows"])
def test_only_the_ratios_of_label_weights_count(groups):
    """Half the probabilities are twice the weights of all labels, and the same estimate."""

    def found(share):
        often = [SampledRow(f"a{n}", groups, share, n < 12) for n in range(20)]
        seldom = [SampledRow(f"b{n}", groups, share / 4, n < 3) for n in range(10)]
        rest = [SampledRow(f"c{n}", groups, share / 4, None) for n in range(30)]
        return prediction_powered_rate([*often, *seldom, *rest])

    assert found(1.0).rate_percent == pytest.approx(100 * (12 + 4 * 3) / (20 + 4 * 10))
    for name in ("rate_percent", "low_percent", "high_percent"):
        assert getattr(found(0.5), name) == pytest.approx(getattr(found(1.0), name))
