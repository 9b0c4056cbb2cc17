import json

import pytest

from components.synth_data_gen.answer import Answerer
from components.synth_data_gen.filters.row_filter import RowFilter
from components.synth_data_gen.rows import Candidate
from core.records import CoverageRow
from task.form import infer_form


@pytest.fixture
def candidates():
    return [
        Candidate((0, 0, n), f"Message {n} about the kettle in Oslo", ("seed-0",), "seed-0", {})
        for n in range(6)
    ]


@pytest.fixture
def make_answerer(make_builder, seeds):
    def make(service, *, coverage=None, **settings):
        settings = {"quality_filter": False} | settings
        form = infer_form([seed.output for seed in seeds])
        row_filter = RowFilter(coverage, [], form, lambda one, other: 1.0) if coverage else None
        return Answerer(service, make_builder(**settings), form, row_filter=row_filter)

    return make


def output(city="Oslo", urgent=False):
    return {"output": json.dumps({"city": city, "urgent": urgent})}


def test_answers_come_back_in_the_order_of_the_candidates(make_service, make_answerer, candidates):
    for order in range(3):
        service = make_service(order_seed=order)
        passed, dropped = make_answerer(service).answer(candidates)
        assert [candidate.prompt for candidate in passed] == [c.prompt for c in candidates]
        assert not dropped


def test_the_seed_most_like_the_message_is_shown_last(
    make_service, make_answerer, candidates, examples, seeds
):
    service = make_service()
    make_answerer(service, examples_per_request=3).answer(candidates[:1])
    shown = examples(service.requests[0].prompt)
    assert len(shown) == 3
    assert shown[-1][0] == seeds[1].prompt  # the one about Oslo


def test_all_of_a_dozen_seeds_are_shown_in_one_order(
    make_service, make_answerer, candidates, examples, seeds
):
    service = make_service()
    make_answerer(service).answer(candidates)
    shown = [examples(request.prompt) for request in service.sent("Answer")]
    assert shown == [[(seed.prompt, seed.output) for seed in seeds]] * len(candidates)


def test_an_answer_out_of_form_is_quarantined_with_the_reason(
    make_service, make_answerer, candidates
):
    service = make_service(lambda request: {"output": "The city is Oslo."})
    passed, dropped = make_answerer(service).answer(candidates)
    assert not passed
    assert {d.reason for d in dropped} == {"form"}
    assert all("not JSON" in d.detail and d.output == "The city is Oslo." for d in dropped)


@pytest.mark.parametrize("error", ["refused", "bad_output", "truncated"])
def test_an_answer_that_never_came_is_counted_under_its_error(
    make_service, make_answerer, candidates, error
):
    passed, dropped = make_answerer(make_service(lambda _: error)).answer(candidates)
    assert not passed
    assert [d.reason for d in dropped] == [error] * len(candidates)


def test_the_answer_of_most_samples_is_kept(make_service, make_answerer, candidates):
    service = make_service(lambda request: output("Oslo" if request.index % 2 == 0 else "Lima"))
    passed, _ = make_answerer(service, samples=3).answer(candidates[:1])
    assert json.loads(passed[0].output)["city"] == "Oslo"
    assert passed[0].scores["agreement"] == pytest.approx(0.667)
    assert len(service.requests) == 3


def test_samples_that_disagree_drop_the_row(make_service, make_answerer, candidates):
    cities = ["Oslo", "Lima", "Cairo"]
    service = make_service(lambda request: output(cities[request.index]))
    passed, dropped = make_answerer(service, samples=3).answer(candidates[:1])
    assert not passed
    assert dropped[0].reason == "inconsistent"


def test_a_sample_without_an_answer_agrees_with_none(make_service, make_answerer, candidates):
    service = make_service(lambda request: output() if request.index == 0 else "refused")
    passed, dropped = make_answerer(service, samples=3).answer(candidates[:1])
    assert not passed
    assert "0.33" in dropped[0].detail


def test_rows_below_the_quality_threshold_are_dropped_and_scores_are_kept(
    make_service, make_answerer, candidates, blocks
):
    def reply(request):
        if request.schema.__name__ == "Answer":
            return output()
        number = int(blocks(request.prompt)["prompt"][0].split()[1])
        own = blocks(request.prompt)["output"][0]
        score = 1 + number % 5
        return {"own_output": own, "difference": "", "reason": "because", "score": score}

    answerer = make_answerer(make_service(reply), quality_filter=True, quality_threshold=3)
    passed, dropped = answerer.answer(candidates)
    assert [candidate.scores["quality"] for candidate in passed] == [3, 4, 5]
    assert [d.detail for d in dropped] == [
        "score 1: because",
        "score 2: because",
        "score 1: because",
    ]
    assert [d.scores["quality"] for d in dropped] == [1, 2, 1]


def test_a_row_that_is_solved_otherwise_is_dropped_whatever_its_score(
    make_service, make_answerer, candidates
):
    def nods(request):
        if request.schema.__name__ == "Answer":
            return output()
        own = output(urgent="number 1 " in request.prompt or "Message 1 " in request.prompt)
        return {
            "own_output": own["output"], "difference": "none", "reason": "It is right.", "score": 5,
        }  # fmt: skip

    passed, dropped = make_answerer(make_service(nods), quality_filter=True).answer(candidates)
    assert [d.prompt for d in dropped] == [candidates[1].prompt]
    assert dropped[0].reason == "quality"
    assert dropped[0].detail == "solved again with urgent True; score 5: It is right."
    assert {c.scores["solved_alike"] for c in passed} == {1.0}


def test_a_second_output_in_other_words_or_out_of_form_contradicts_nothing(
    make_service, make_answerer, candidates
):
    def reply(request):
        if request.schema.__name__ == "Answer":
            return output()
        own = "The city is Oslo." if "Message 1 " in request.prompt else output("Oslo, N")["output"]
        return {"own_output": own, "difference": "none", "reason": "Right.", "score": 5}

    passed, _ = make_answerer(make_service(reply), quality_filter=True).answer(candidates)
    assert len(passed) == len(candidates)
    assert {c.scores["solved_alike"] for c in passed} == {0.0}


def test_without_the_quality_filter_no_score_is_paid_for(make_service, make_answerer, candidates):
    service = make_service()
    make_answerer(service).answer(candidates)
    assert not service.sent("QualityScore")


def test_a_row_without_a_score_is_dropped_as_unscored(make_service, make_answerer, candidates):
    service = make_service(
        lambda request: output() if request.schema.__name__ == "Answer" else "refused"
    )
    passed, dropped = make_answerer(service, quality_filter=True).answer(candidates)
    assert not passed
    assert {d.reason for d in dropped} == {"unscored"}


def test_a_row_with_the_facts_of_a_coverage_row_is_dropped_before_it_is_scored(
    make_service, make_answerer, candidates, seeds, reply
):
    facts = "seven brass kettles of Aunt Ada"
    told = output(facts)["output"]
    held = CoverageRow("held", "What did Aunt Ada leave?", told, "holdout")

    def leaky(request):
        is_leak = request.schema.__name__ == "Answer" and candidates[2].prompt in request.prompt
        return output(facts) if is_leak else reply(request)

    service = make_service(leaky)
    answerer = make_answerer(service, coverage=[*seeds, held], quality_filter=True)
    _, dropped = answerer.answer(candidates)
    (leak,) = (entry for entry in dropped if entry.reason == "facts_leak")
    assert (leak.prompt, leak.nearest_id, leak.nearest_text) == (candidates[2].prompt, "held", "")
    scored = service.sent("QualityScore")
    assert len(scored) == len(candidates) - 1
    assert not any(facts in request.prompt for request in scored)


def test_of_two_rows_with_the_same_facts_a_good_one_is_kept(
    make_service, make_answerer, candidates, seeds, reply
):
    facts = "seven brass kettles of Aunt Ada"

    def scores(request):
        if request.schema.__name__ == "Answer":
            return output(facts)
        is_first = candidates[0].prompt in request.prompt
        return reply(request) | ({"score": 1} if is_first else {})

    answerer = make_answerer(make_service(scores), coverage=seeds, quality_filter=True)
    passed, dropped = answerer.answer(candidates[:3])
    assert [row.prompt for row in passed] == [candidates[1].prompt]
    assert [(entry.reason, entry.prompt) for entry in dropped] == [
        ("quality", candidates[0].prompt),
        ("same_facts", candidates[2].prompt),
    ]
