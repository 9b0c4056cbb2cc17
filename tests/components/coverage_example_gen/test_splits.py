from hypothesis import given, settings
from hypothesis import strategies as st

from components.coverage_example_gen.splits import normalized, split_of, stable_id

IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def test_known_ids_keep_their_split_over_versions():
    # Computed with sha256sum: modulo 100 these are 7, 84, 76, 65, 12 and 19; below 50 is holdout.
    expected = ["holdout", "seed", "seed", "seed", "holdout", "holdout"]
    assert [split_of(f"row-{n}") for n in range(6)] == expected
    assert stable_id("Hello  World") == "b94d27b9934d3e08"


@settings(deadline=None)
@given(row_id=IDS, percent=st.integers(1, 98))
def test_a_larger_holdout_never_moves_a_row_back_to_the_seeds(row_id, percent):
    if split_of(row_id, percent) == "holdout":
        assert split_of(row_id, percent + 1) == "holdout"


def test_the_share_of_the_holdout_is_the_wanted_one():
    held = sum(split_of(f"row-{n}", 30) == "holdout" for n in range(5000))
    assert 1350 <= held <= 1650  # 30 % of 5,000, four standard deviations


@settings(deadline=None)
@given(prompt=IDS)
def test_normalizing_twice_changes_nothing_for_the_id(prompt):
    assert normalized(f"  {prompt}\n") == normalized(prompt)
    assert stable_id(f"\t{prompt} ") == stable_id(prompt)


def test_case_space_and_unicode_form_do_not_make_another_prompt():
    assert normalized("  Stra\u00dfe\u00a0CAFE\u0301\n") == normalized("strasse caf\u00e9")
