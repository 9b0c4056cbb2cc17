import logging
import re
from collections import Counter

import pytest

from core.usage import Usage
from judging.judge import judge
from judging.report import describe_judge
from judging.requests import JudgedResponse
from judging.schemas import Verdicts
from judging.settings import EvaluatorSettings
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
    told = [r.progress for r in caplog.records if r.name == "understudy.progress"]
    assert [progress["done"] for progress in told] == [1, 2, 3, 4]
    assert {progress["total"] for progress in told} == {4}
    assert "Paris" not in caplog.text


def judges_rows(request):
    """Knows by their prompts what is right; reads each row by its number."""
    if request.schema is not Verdicts:
        return verdict_of("prompt", "answer_a", "answer_b", request)
    count = request.prompt.count("<prompt_")
    return {
        "verdicts": [
            {"number": n, **verdict_of(f"prompt_{n}", f"answer_a_{n}", f"answer_b_{n}", request)}
            for n in range(1, count + 1)
        ]
    }


def verdict_of(prompt, first, second, request):
    def text(name):
        return re.search(rf"<{name} (\w+)>\n(.*?)\n</{name} \1>", request.prompt, re.DOTALL)[2]

    same = text(first) == text(second)
    marks = {side: 5 if text(name) == text(prompt) else 1 for side, name in
             (("a", first), ("b", second))}  # fmt: skip
    scores = {"correctness_a": marks["a"], "correctness_b": marks["b"]}
    return {"reason": "r", "similarity": 5 if same else 1, **scores}


ROWS = [JudgedResponse(str(n), str(n), str(n - n % 2)) for n in range(10)]
WITH_MORE = JudgedResponse("x", "x", "y", references=("z",))


def test_several_rows_in_a_request_get_the_verdicts_that_they_get_alone(service, builder):
    alone, together = builder(), builder(rows_per_request=4)
    first = judge(ROWS, service(judges_rows), alone, alone.settings)
    llm = service(judges_rows)
    second = judge([*ROWS, WITH_MORE], llm, together, together.settings)
    assert {row: second[row] for row in ROWS} == first
    kinds = Counter(request.schema.__name__ for request in llm.requests)
    assert kinds == {"Verdicts": 2 * 3, "Verdict": 2}, "a row with several references is alone"
    tokens = sum(len(r.prompt) for r in llm.requests if r.schema is Verdicts)
    longest = max(len(alone.judge(row, 0, tag="").prompt) for row in ROWS)
    assert tokens < 0.6 * 2 * len(ROWS) * longest


def test_the_rows_of_a_request_stand_in_the_other_order_in_the_next_vote(builder):
    votes = list(builder(rows_per_request=4).votes(ROWS))
    first, second = ([v.rows for v in votes if v.vote == vote] for vote in (0, 1))
    assert second == [rows[::-1] for rows in first]


def test_a_row_that_a_reply_leaves_out_is_missing_and_moves_no_other(service, builder):
    def skips(request):
        value = judges_rows(request)
        return {"verdicts": [v for v in value["verdicts"] if "<prompt_2 " in request.prompt
                             and v["number"] != 2]}  # fmt: skip

    made = builder(rows_per_request=5, votes=1)
    found = judge(ROWS[:5], service(skips), made, made.settings)
    assert [found[row].scored for row in ROWS[:5]] == [True, False, True, True, True]
    assert found[ROWS[1]].reason == "0 of 1 votes could be read (no reply)."
    assert [found[row].covered for row in ROWS[:5] if row != ROWS[1]] == [True, True, False, True]


def test_one_row_a_request_is_the_default(builder):
    assert {len(v.rows) for v in builder().votes(ROWS)} == {1}


def test_rows_together_are_judged_by_another_judge():
    versions = {
        describe_judge("openai", "llm", EvaluatorSettings(rows_per_request=size)).prompt_version
        for size in (1, 4, 8)
    }
    assert len(versions) == 3


def test_a_request_of_several_rows_says_how_many_and_shows_all(builder):
    made = builder(rows_per_request=3)
    prompt = made.judge_rows(ROWS[:3], 0, tag="").prompt
    for number, row in enumerate(ROWS[:3], start=1):
        assert f"<prompt_{number} " in prompt
        assert f"\n{row.response}\n" in prompt
    assert made.task.text() in prompt
    assert "3" in prompt.partition("<prompt_1 ")[0]
