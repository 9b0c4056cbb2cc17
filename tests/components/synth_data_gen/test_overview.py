import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.synth_data_gen.overview import diversity_by_round, histogram, make_overview
from components.synth_data_gen.rows import Dropped, SyntheticRow


def row(number: int, round: int = 1, similarity: float = 0.25) -> SyntheticRow:
    provenance = {
        "attributes": {"tone": ["calm", "angry"][number % 2]},
        "nearest_coverage": {"id": f"cov-{number}", "similarity": similarity},
    }
    prompt = f"message number {number} of round {round}"
    return SyntheticRow(f"{round}-{number}", prompt, "{}", json.dumps(provenance), round)


SUMMARY = {"round": 2, "dropped": {"form": 1, "leak": 4}}


@given(st.lists(st.integers(-50, 5000), min_size=1, max_size=40), st.integers(1, 12))
def test_a_histogram_counts_every_value_once(values, bins):
    bars = histogram(values, bins)
    assert sum(bar.rows for bar in bars) == len(values)
    assert len(bars) <= bins
    assert bars[0].label.startswith(str(min(values)))
    assert bars[-1].label.endswith(str(max(values)))


def test_bars_of_a_histogram_name_the_values_they_hold():
    assert histogram([1, 2, 2, 9], bins=3) == [("1-3", 3), ("4-6", 0), ("7-9", 1)]


def test_rounds_are_compared_over_equally_many_prompts():
    rows = [row(n) for n in range(30)] + [row(n, round=2) for n in range(10)]
    first, second = diversity_by_round(rows)
    assert (first.round, first.rows, first.compared) == (1, 30, 10)
    assert (second.round, second.rows, second.compared) == (2, 10, 10)


def test_the_overview_counts_reasons_attributes_and_similarities():
    rows = [row(n, similarity=n / 40) for n in range(20)]
    overview = make_overview(rows, [], SUMMARY, "demo")
    assert overview.dropped == [("leak", 4), ("form", 1)]
    assert overview.attributes == {"tone": [("calm", 10), ("angry", 10)]}
    assert sum(bar.rows for bar in overview.similarity) == 20
    assert overview.nearest[0][:2] == (pytest.approx(19 / 40), "cov-19")


def test_scores_are_counted_by_value():
    rows = [
        dataclasses.replace(row(n), provenance=json.dumps({"attributes": {}, "scores": scores}))
        for n, scores in enumerate([{"quality": 5.0}, {"quality": 4.0}, {"quality": 5.0}, {}])
    ]
    assert make_overview(rows, [], SUMMARY, "demo").scores == {"quality": [("4", 1), ("5", 2)]}


def test_every_reason_to_drop_is_shown_before_one_is_shown_twice():
    dropped = [Dropped("leak", str(n)) for n in range(30)] + [Dropped("form", "bad")]
    shown = make_overview([row(0)], dropped, SUMMARY, "demo").dropped_samples
    assert [entry.reason for entry in shown[:3]] == ["leak", "form", "leak"]
    assert len(shown) == 20
