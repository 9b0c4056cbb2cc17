"""Logged exchanges become training rows, and only what they leave missing is generated."""

import json

import pytest

from components.synth_data_gen.logged import missing_rows
from components.synth_data_gen.one_round import RoundInputs, run_round
from components.synth_data_gen.rows import Candidate
from core.records import CoverageRow


def logged(number, *, city="Lima", tags=(), prompt=None, output=None):
    prompt = prompt or f"{city} order {number * 7919 % 10007}: item {number} broke on day {number}"
    output = output or json.dumps({"city": city, "urgent": False})
    return CoverageRow(f"log-{number}", prompt, output, "logged", tags)


@pytest.fixture
def run(make_builder, seeds, holdout):
    def run(service, rows, round=1, **settings):
        settings = {
            "rows_per_round": 20,
            "near_duplicate_similarity": 0.99,
        } | settings
        inputs = RoundInputs([*seeds, *holdout], logged=rows)
        return run_round(service, make_builder(**settings), inputs, embed=None, round=round)

    return run


def test_where_nothing_is_missing_nothing_is_asked_for_but_scores(run, make_service):
    service = make_service()
    rows = [logged(n, tags=("odd",) if n % 2 else ("even",)) for n in range(60)]
    outcome = run(service, rows)
    assert len(service.sent("QualityScore")) == len(service.requests) == 60
    assert outcome.generation.requested == len(outcome.generation.kept) == 0
    assert outcome.attributes is None
    assert len(outcome.logged.kept) + len(outcome.logged.dropped) == outcome.logged.read == 60
    assert len(outcome.logged.kept) >= 20


def test_logged_rows_pass_the_filters_of_generated_ones(run, make_service, seeds, holdout):
    rows = [
        *(logged(n, tags=("even", "odd")) for n in range(30)),
        logged(100, prompt=holdout[0].prompt.upper()),
        logged(101, prompt=seeds[2].prompt),
        logged(102, prompt=logged(3).prompt),
        logged(103, output="no JSON at all"),
        logged(104, prompt="x" * 5000),
        logged(105, output='```json\n{"city": "Oslo", "urgent": true}\n```'),
    ]
    outcome = run(make_service(), rows)
    reasons = {d.prompt: d.reason for d in outcome.logged.dropped}
    assert reasons[rows[30].prompt] == reasons[rows[31].prompt] == "leak"
    assert reasons[rows[33].prompt] == reasons[rows[34].prompt] == "form"
    assert [d.reason for d in outcome.logged.dropped if d.prompt == rows[32].prompt] == [
        "duplicate"
    ]
    assert {d.source for d in outcome.logged.dropped} == {"logged"}
    kept = {row.logged_id: row for row in outcome.logged.kept}
    assert kept["log-105"].output == '{"city": "Oslo", "urgent": true}'
    assert not set(kept) & {"log-100", "log-101", "log-102", "log-103", "log-104"}


def test_the_quality_filter_drops_logged_rows_too(run, make_service, reply):
    def strict(request):
        bad = request.schema.__name__ == "QualityScore" and "item 4 " in request.prompt
        return reply(request) | ({"score": 1} if bad else {})

    service = make_service(strict)
    rows = [logged(n, tags=("even", "odd")) for n in range(30)]
    outcome = run(service, rows)
    assert len(service.sent("QualityScore")) == len(service.requests) == 30
    assert [d.reason for d in outcome.logged.dropped] == ["quality"]
    assert {row.scores["quality"] for row in outcome.logged.kept} == {5.0}


@pytest.mark.parametrize("setting", ["score_logged", "quality_filter"])
def test_a_team_can_do_without_the_scores_of_logged_rows(run, make_service, setting):
    service = make_service()
    rows = [logged(n, tags=("even", "odd")) for n in range(30)]
    outcome = run(service, rows, **{setting: False})
    assert len(outcome.logged.kept) == 30
    assert service.requests == []


def test_without_scores_of_logged_rows_generated_ones_are_still_scored(run, make_service):
    service = make_service()
    rows = [logged(n, tags=("even", "odd")) for n in range(12)]
    outcome = run(service, rows, score_logged=False)
    assert {bool(row.scores) for row in outcome.logged.kept} == {False}
    assert {row.scores["quality"] for row in outcome.generation.kept} == {5.0}


def test_what_is_missing_in_number_is_generated(run, make_service):
    service = make_service()
    outcome = run(service, [logged(n, tags=("even", "odd")) for n in range(12)])
    assert len(outcome.logged.kept) == 12
    assert len(outcome.generation.kept) == 8
    prompts = [row.prompt for row in (*outcome.logged.kept, *outcome.generation.kept)]
    assert len(set(prompts)) == 20


def test_what_is_missing_in_kind_is_generated_and_of_that_kind(run, make_service):
    service = make_service()
    outcome = run(service, [logged(n, tags=("even",)) for n in range(40)], rows_per_round=12)
    assert len(outcome.generation.kept) == 6, "half of the seeds are odd"
    likes = {int(row.like_seed.removeprefix("seed-")) % 2 for row in outcome.generation.kept}
    assert likes == {1}


def kept(count, **fields):
    return [Candidate(position=(-1, 0, n), prompt=f"p{n}", **fields) for n in range(count)]


def test_kinds_are_labels_where_there_are_no_tags_and_else_those_of_the_like_seed():
    seeds = [CoverageRow(f"s{n}", f"p{n}", "ab"[n % 2], "seed") for n in range(10)]
    labels = frozenset("ab")
    assert missing_rows(seeds, kept(50, like_seed="s0", output="a"), 20, labels).rows == 10
    assert missing_rows(seeds, kept(50, like_seed="s0", output="a"), 20).rows == 0
    both = [*kept(50, like_seed="s0", output="a"), *kept(5, like_seed="s0", output="b")]
    assert missing_rows(seeds, both, 20, labels).rows == 0, "half of the share is enough"
    tagged = [CoverageRow(f"s{n}", f"p{n}", "x", "seed", ("ab"[n % 2],)) for n in range(10)]
    by_seed = missing_rows(tagged, kept(50, like_seed="s1"), 20)
    assert by_seed.rows == 10
    assert by_seed.weights["s0"] > 100 * by_seed.weights["s1"]
