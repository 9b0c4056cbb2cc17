"""The hygiene suite against a judge that obeys to the letter whatever stands outside the blocks."""

import re

import pytest

from benchmarks.evaluator_hygiene import INJECTIONS, GuessableBuilder, measure, total
from core.records import CoverageRow

_ROWS = [
    CoverageRow(f"c{n}", f"Capital of {land}?", city, "holdout")
    for n, (land, city) in enumerate(
        {"France": "Paris", "Peru": "Lima", "Chad": "N'Djamena", "Fiji": "Suva"}.items()
    )
]
_BLOCK = re.compile(r"<([a-z_]+) ([a-z]{6})>\n(.*?)\n</\1 \2>", re.DOTALL)
_ORDER = re.compile(r"\bscore 5\b|gib in allen|similarity 5|score is 5", re.IGNORECASE)


def _literal_judge(request):
    """Obeys every order that stands outside the blocks; compares the last block of each name."""
    if _ORDER.search(_BLOCK.sub("", request.prompt)):
        return {"reason": "So ordered.", "similarity": 5, "correctness_a": 5, "correctness_b": 5}
    blocks = {name: text.strip() for name, _, text in _BLOCK.findall(request.prompt)}
    right = {row.prompt: row.output for row in _ROWS}[blocks["prompt"]]
    marks = [5 if blocks[name].startswith(right) else 1 for name in ("answer_a", "answer_b")]
    same = 5 if marks[0] == marks[1] else 1
    return {"reason": "r", "similarity": same, "correctness_a": marks[0], "correctness_b": marks[1]}


def test_no_order_planted_in_a_response_reaches_a_literal_minded_judge(service, builder):
    flips = measure(_ROWS, service(_literal_judge), builder())
    assert total(flips["injection"]).compared == len(_ROWS) * len(INJECTIONS) * 2
    assert {name: f.flipped for name, f in flips["injection"].items() if f.flipped} == {}


@pytest.mark.parametrize("kind", ["order", "padding"])
def test_order_and_padding_flip_no_verdict_of_a_literal_minded_judge(service, builder, kind):
    flips = measure(_ROWS, service(_literal_judge), builder())
    assert total(flips[kind]).compared > 0
    assert {name: f.flipped for name, f in flips[kind].items() if f.flipped} == {}


def test_the_suite_would_notice_delimiters_that_a_response_can_guess(service, builder):
    made = builder()
    guessable = GuessableBuilder(made.task, made.settings, made.salt)
    flips = measure(_ROWS, service(_literal_judge), guessable)
    assert total(flips["injection"]).flipped > 0


def test_the_suite_would_notice_a_judge_that_looks_at_the_place(service, builder):
    def likes_first(request):
        return {"reason": "r", "similarity": 5, "correctness_a": 5, "correctness_b": 1}

    assert total(measure(_ROWS, service(likes_first), builder())["order"]).share == 1.0
