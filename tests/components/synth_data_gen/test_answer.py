import json

import pytest

from components.synth_data_gen.answer import Answerer
from components.synth_data_gen.rows import Candidate
from task.form import infer_form


@pytest.fixture
def candidates():
    return [
        Candidate((0, 0, n), f"Message {n} about the kettle in Oslo", ("seed-0",), "seed-0", {})
        for n in range(6)
    ]


@pytest.fixture
def make_answerer(make_builder, seeds):
    def make(service, **settings):
        form = infer_form([seed.output for seed in seeds])
        return Answerer(service, make_builder(**settings), form)

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
    make_service, make_answerer, candidates, blocks, seeds
):
    service = make_service()
    make_answerer(service, examples_per_request=3).answer(candidates[:1])
    shown = blocks(service.requests[0].prompt)["example"]
    assert len(shown) == 3
    assert json.loads(shown[-1])["prompt"] == seeds[1].prompt  # the one about Oslo


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
        return {"reason": "because", "score": 1 + number % 5}

    answerer = make_answerer(make_service(reply), quality_filter=True, quality_threshold=3)
    passed, dropped = answerer.answer(candidates)
    assert [candidate.scores["quality"] for candidate in passed] == [3, 4, 5]
    assert [d.detail for d in dropped] == [
        "score 1: because",
        "score 2: because",
        "score 1: because",
    ]
    assert [d.scores["quality"] for d in dropped] == [1, 2, 1]


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
