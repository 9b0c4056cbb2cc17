import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.synth_data_gen.rows import Candidate, row_of, split_rows
from core.synthetic_records import Dropped, RowGenerator, SyntheticRow

CANDIDATE = Candidate(
    position=(0, 1, 2),
    prompt="Where is it?",
    seed_ids=("a", "b"),
    like_seed="b",
    attributes={"tone": "calm"},
    output="{}",
    scores={"agreement": 1.0},
    nearest=("holdout-1", 0.123456),
    prompt_model_version="writer-001",
    output_model_version="writer-002",
)
GENERATOR = RowGenerator(provider="gemini", model="m", code_version="abc")
SHARED = {"generator": GENERATOR, "prompt_versions": {"answer": "v1"}}


def rows(round: int, prompts: list[str]) -> list[SyntheticRow]:
    return [
        SyntheticRow(id=f"{round}-{prompt}", prompt=prompt, output="", provenance="{}", round=round)
        for prompt in prompts
    ]


def test_provenance_tells_where_a_row_comes_from():
    row = row_of(CANDIDATE, round=3, **SHARED)
    assert row.id.startswith("syn-003-")
    assert json.loads(row.provenance) == {
        "seed_ids": ["a", "b"],
        "like_seed": "b",
        "attributes": {"tone": "calm"},
        "scores": {"agreement": 1.0},
        "round": 3,
        "generator": {
            "provider": "gemini",
            "model": "m",
            "code_version": "abc",
            "prompt_model_version": "writer-001",
            "output_model_version": "writer-002",
        },
        "prompt_versions": {"answer": "v1"},
        "nearest_coverage": {"id": "holdout-1", "similarity": 0.123},
        "source": "generated",
        "edited_by_person": False,
    }


def test_a_row_is_read_as_it_was_written():
    row = row_of(CANDIDATE, round=1, **SHARED)
    assert SyntheticRow.from_features(row.features()) == row


def test_a_dropped_row_is_one_line():
    assert "\n" not in Dropped("form", "two\nlines", "a\nb").to_json()


@given(
    first=st.lists(st.integers(), min_size=2, max_size=20, unique=True),
    second=st.lists(st.integers(), max_size=20, unique=True),
    fraction=st.floats(0.01, 0.99),
)
def test_rows_never_change_their_split_and_no_split_is_empty(first, second, fraction):
    before = split_rows({}, rows(1, [str(n) for n in first]), fraction)
    after = split_rows(before, rows(2, [str(n) for n in second]), fraction)
    for split in ("train", "eval"):
        assert before[split]
        assert after[split][: len(before[split])] == before[split]
    ids = [row.id for split in after.values() for row in split]
    assert len(ids) == len(set(ids)) == len(first) + len(second)


def test_the_split_does_not_depend_on_the_order_of_the_rows():
    new = rows(1, [str(n) for n in range(30)])
    one = split_rows({}, new, 0.2)
    other = split_rows({}, new[::-1], 0.2)
    assert {row.id for row in one["eval"]} == {row.id for row in other["eval"]}


def test_the_eval_split_gets_about_its_share():
    split = split_rows({}, rows(1, [str(n) for n in range(2000)]), 0.1)
    assert len(split["eval"]) / 2000 == pytest.approx(0.1, abs=0.03)
