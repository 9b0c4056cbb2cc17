"""Of very many prompts a part is judged, which is like the whole and stays the same."""

from collections import Counter

from core.records import CoverageRow
from judging.judged_rows import judged_rows

TAGS = (("de",), ("en",), ("en", "urgent"))


def rows(count):
    return [
        CoverageRow(f"r{n}", f"Question {n}", "yes", split, TAGS[n % 7 % 3])
        for n, split in enumerate(["seed", "holdout", "test"] * (count // 3))
    ]


def test_few_prompts_are_all_judged():
    made = rows(30)
    assert judged_rows(made, 10) == made
    assert judged_rows(made, None) == made


def test_of_many_prompts_each_split_has_so_many_and_each_tag_its_share():
    made = rows(3_000)
    kept = judged_rows(made, 100)
    assert Counter(row.split for row in kept) == {"seed": 100, "holdout": 100, "test": 100}
    assert kept == [row for row in made if row in kept], "in their order"
    for split in ("seed", "holdout", "test"):
        wanted = Counter(row.tags for row in made if row.split == split)
        found = Counter(row.tags for row in kept if row.split == split)
        assert all(abs(found[tags] - count / 10) <= 1 for tags, count in wanted.items())


def test_the_same_prompts_are_judged_in_whatever_order_they_come():
    made = rows(600)
    ids = {row.id for row in judged_rows(made, 50)}
    assert {row.id for row in judged_rows(made[::-1], 50)} == ids


def test_a_few_more_rows_change_the_choice_by_few():
    made = rows(3_000)
    before = {row.id for row in judged_rows(made, 100)}
    after = {row.id for row in judged_rows(rows(3_060), 100)}
    assert len(before & after) > 0.9 * len(before)
