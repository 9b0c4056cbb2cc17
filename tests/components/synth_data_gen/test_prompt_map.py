"""The map of prompts: like ones are near each other, and failures are found far from all rows."""

import dataclasses
import math
import random

import pytest

from components.synth_data_gen.prompt_map import map_prompts
from core.records import CoverageRow
from reports.dataset_page.map_chart import COVERED, FAILED, ROW, UNJUDGED
from tests.records import synthetic_row

BILLS = [f"My bill number {n} shows the wrong total amount" for n in range(12)]
PARCELS = [f"The parcel {n} has not arrived at our door" for n in range(12)]


@pytest.fixture
def rows():
    return [synthetic_row(f"s-{n}", text) for n, text in enumerate(BILLS + PARCELS)]


def coverage(*texts):
    return [
        CoverageRow(id=f"c-{n}", split="holdout", tags=(), prompt=text, output="{}")
        for n, text in enumerate(texts)
    ]


def test_prompts_of_one_kind_are_nearer_to_each_other_than_to_the_others(rows):
    found = map_prompts(rows, coverage("The bill shows a wrong amount"), {}, round=1)
    places = {ROW: [], UNJUDGED: []}
    for point in found.points:
        places[point.kind].append((point.x, point.y))
    (prompt,) = places[UNJUDGED]
    assert len(places[ROW]) == 24

    order = random.Random(1).sample(rows, len(rows))

    def away(texts):
        wanted = {row.id for row in rows if row.prompt in texts}
        drawn = [place for place, row in zip(places[ROW], order, strict=True) if row.id in wanted]
        return sum(math.dist(prompt, place) for place in drawn) / len(drawn)

    assert away(BILLS) < away(PARCELS)


def test_failures_are_marked_and_the_farthest_from_all_rows_comes_first(rows):
    prompts = coverage("Bill 3 shows a wrong total", "Kann ich das Fahrrad leihen?", "A parcel")
    covered = {"c-0": False, "c-1": False, "c-2": True}
    found = map_prompts(rows, prompts, covered, round=1)
    assert [point.kind for point in found.points[-3:]] == [FAILED, FAILED, COVERED]
    assert [gap.coverage_id for gap in found.gaps] == ["c-1", "c-0"]
    assert found.gaps[0].similarity < found.gaps[1].similarity <= 1
    assert "bill" in found.gaps[1].nearest
    assert [gap.prompt for gap in found.gaps] == ["", ""], "of the holdout"
    seeds = [dataclasses.replace(row, split="seed") for row in prompts]
    found = map_prompts(rows, seeds, covered, round=1)
    assert [gap.prompt for gap in found.gaps] == [prompts[1].prompt, prompts[0].prompt]


def test_too_few_texts_are_no_map(rows):
    assert map_prompts(rows[:9], [], {}, round=1) is None
    assert map_prompts([], coverage(*PARCELS), {}, round=1) is None
    same = [synthetic_row(f"s-{n}", "the same") for n in range(50)]
    assert map_prompts(same, [], {}, round=1) is None


def test_many_rows_are_drawn_from_and_the_same_round_draws_the_same():
    many = [synthetic_row(f"s-{n}", f"Message {n} about {n % 7} things") for n in range(900)]
    found = map_prompts(many, coverage("Message"), {}, round=3)
    assert len(found.points) == 801
    assert found == map_prompts(many, coverage("Message"), {}, round=3)
