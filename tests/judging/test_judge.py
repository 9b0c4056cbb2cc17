import logging
from collections import Counter

import pytest

from core.usage import Usage
from judging.judge import judge
from judging.requests import JudgedResponse
from service_llm.types import Result

RIGHT = JudgedResponse("Capital of France?", "Paris", "Paris")
WRONG = JudgedResponse("Capital of France?", "Paris", "Rome")


def test_votes_find_their_response_in_whatever_order_they_come(service, builder):
    responses = [JudgedResponse(str(n), str(n), str(n - n % 2)) for n in range(20)]
    made = builder(votes=4, temperature=0.5)
    judgements = judge(responses, service(), made, made.settings)
    assert {c: j.covered for c, j in judgements.items()} == {
        judged: judged.output == judged.response for judged in responses
    }
    assert all(len(judgement.votes) == 4 for judgement in judgements.values())


def test_equal_responses_are_asked_about_once(service, builder):
    llm, made = service(), builder()
    judge([RIGHT, WRONG, RIGHT], llm, made, made.settings)
    assert len(llm.requests) == 4, "two responses, two votes each"


def test_votes_are_told_apart_by_their_index(service, builder):
    llm, made = service(), builder(votes=3, temperature=0.7)
    judge([RIGHT], llm, made, made.settings)
    assert sorted(request.index for request in llm.requests) == [0, 1, 2]
    assert {request.temperature for request in llm.requests} == {0.7}


def test_an_exact_match_is_judged_like_any_other_response(service, builder):
    llm, made = service(), builder()
    judge([RIGHT], llm, made, made.settings)
    assert len(llm.requests) == 2


def test_a_setting_spares_exact_matches(service, builder):
    llm, made = service(), builder(judge_exact_matches=False)
    judgements = judge([RIGHT, WRONG], llm, made, made.settings)
    assert len(llm.requests) == 2
    assert (judgements[RIGHT].covered, judgements[WRONG].covered) == (True, False)


@pytest.mark.parametrize("error", ["refused", "bad_output", "truncated"])
def test_a_response_without_readable_votes_is_unscored(service, builder, error):
    llm, made = service(lambda request: error), builder()
    judgement = judge([RIGHT], llm, made, made.settings)[RIGHT]
    assert (judgement.scored, judgement.covered) == (False, False)
    assert error in judgement.reason


def test_why_a_vote_was_refused_is_in_the_reason(builder):
    class Refusing:
        def map(self, requests):
            for request in requests:
                yield Result(request, None, "refused", "403 Your input was flagged", Usage(), False)

    made = builder()
    judgement = judge([RIGHT], Refusing(), made, made.settings)[RIGHT]
    assert "refused: 403 Your input was flagged" in judgement.reason


def test_a_judge_that_likes_the_first_place_is_caught_by_the_swap(service, builder):
    def likes_first(request):
        return {"reason": "First!", "similarity": 5, "correctness_a": 5, "correctness_b": 1}

    made = builder(votes=2)
    judgements = judge([RIGHT, WRONG], service(likes_first), made, made.settings)
    positions = [Counter(v.position for v in j.votes) for j in judgements.values()]
    assert positions == [Counter("ab"), Counter("ab")]
    assert [j.correctness for j in judgements.values()] == [3.0, 3.0]


def test_progress_counts_the_votes(service, builder, caplog):
    made = builder()
    with caplog.at_level(logging.INFO, logger="understudy.progress"):
        judge([RIGHT, WRONG], service(), made, made.settings)
    assert [record.progress["done"] for record in caplog.records] == [1, 2, 3, 4]
    assert {record.progress["total"] for record in caplog.records} == {4}
    assert "Paris" not in caplog.text
