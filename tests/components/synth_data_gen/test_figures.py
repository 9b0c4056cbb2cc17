import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.synth_data_gen.figures import (
    diversity_by_round,
    histogram,
    make_figures,
    pick_dropped,
)
from core.records import CoverageRow
from core.synthetic_records import Dropped
from tests.records import synthesis_record, synthetic_row


def row(number, round=1, similarity=0.25, **provenance):
    return synthetic_row(
        f"{round}-{number}",
        f"message number {number} of round {round}",
        round=round,
        nearest=(f"cov-{number}", similarity),
        **({"attributes": {"tone": ["calm", "angry"][number % 2]}} | provenance),
    )


@given(st.lists(st.integers(-50, 5000), min_size=1, max_size=40), st.integers(1, 12))
def test_a_histogram_counts_every_value_once(values, bins):
    bars = histogram(values, bins)
    assert sum(bar.rows for bar in bars) == len(values)
    assert len(bars) <= bins
    assert bars[0].label.startswith(str(min(values)))
    assert bars[-1].label.endswith(str(max(values)))


def test_bars_of_a_histogram_name_the_values_they_hold():
    assert histogram([1, 2, 2, 9], bins=3) == (("1-3", 3), ("4-6", 0), ("7-9", 1))


def test_rounds_are_compared_over_equally_many_prompts():
    rows = [row(n) for n in range(30)] + [row(n, round=2) for n in range(10)]
    first, second = diversity_by_round(rows)
    assert (first.round, first.rows, first.compared) == (1, 30, 10)
    assert (second.round, second.rows, second.compared) == (2, 10, 10)


def test_the_figures_count_reasons_attributes_and_similarities():
    rows = [row(n, similarity=n / 40) for n in range(20)]
    figures = make_figures(rows)
    assert figures.attributes == {"tone": (("calm", 10), ("angry", 10))}
    assert sum(bar.rows for bar in figures.similarity) == 20
    assert figures.nearest[0].similarity == pytest.approx(19 / 40)
    assert figures.nearest[0].coverage_id == "cov-19"
    record = synthesis_record(dropped={"form": 1, "leak": 4})
    assert record.dropped_bars == [("leak", 4), ("form", 1)]


def test_scores_are_counted_by_value():
    rows = [
        row(n, scores=scores)
        for n, scores in enumerate([{"quality": 5.0}, {"quality": 4.0}, {"quality": 5.0}, {}])
    ]
    assert make_figures(rows).scores == {"quality": (("4", 1), ("5", 2))}


def test_every_reason_to_drop_is_shown_before_one_is_shown_twice():
    dropped = [Dropped("leak", str(n)) for n in range(30)] + [Dropped("form", "bad")]
    shown = pick_dropped(dropped)
    assert [entry.reason for entry in shown[:3]] == ["leak", "form", "leak"]
    assert len(shown) == 20


def test_output_values_of_the_seeds_are_counted_next_to_those_of_the_rows():
    outputs = ['{"tone": "calm"}', '{"tone": "angry"}']
    rows = [dataclasses.replace(row(n), output=outputs[0]) for n in range(4)]
    coverage = [
        CoverageRow(str(n), f"p{n}", outputs[n % 2], "seed" if n < 6 else "holdout")
        for n in range(12)
    ]
    figures = make_figures(rows, coverage=coverage)
    assert figures.outputs_by_round == {"tone": {1: {'"calm"': 4}}}
    assert (figures.seed_outputs, figures.seeds) == ({"tone": {'"calm"': 3, '"angry"': 3}}, 6)
