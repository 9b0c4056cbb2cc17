"""Two answers are scored next to each other, blind to whose they are."""

import pytest

from core.usage import Usage
from judging.pairs import PairScore, score_pairs
from judging.requests import JudgedResponse, RequestBuilder, response_position
from judging.schemas import Verdict
from judging.settings import EvaluatorSettings
from service_llm.types import Result
from task.task import Task


class Judge:
    """Gives marks by the text: 5 to `good`, 2 to `bad`, nothing readable about `odd`."""

    def __init__(self):
        self.asked = 0

    def map(self, requests):
        for request in requests:
            self.asked += 1
            pair, vote = next(
                (pair, request.index) for pair in PAIRS if pair.prompt in request.prompt
            )
            texts = (pair.response, pair.output)
            first, second = texts if response_position(pair, vote) == "a" else texts[::-1]
            marks = {"good": 5, "fine": 4, "bad": 2}
            value = None
            if "odd" not in texts:
                value = Verdict(
                    reason="So.",
                    similarity=3,
                    correctness_a=marks[first],
                    correctness_b=marks[second],
                )
            yield Result(request, value, None if value else "bad_output", "", Usage(), False)


PAIRS = [
    JudgedResponse("prompt-one", "good", "fine"),
    JudgedResponse("prompt-two", "good", "bad"),
    JudgedResponse("prompt-three", "bad", "good"),
    JudgedResponse("prompt-four", "good", "odd"),
    JudgedResponse("prompt-five", "same", "same"),
]


def builder(**settings):
    return RequestBuilder(Task(name="t", instruction="Do."), EvaluatorSettings(**settings), b"s")


def test_the_judge_marks_both_answers_and_equal_ones_cost_nothing():
    judge = Judge()
    found = score_pairs(PAIRS, judge, builder())
    assert [each[:4] for each in found] == [
        (1.0, 1.0, False, True),  # both are right, and they differ
        (1.0, 0.0, False, True),
        (0.0, 1.0, False, True),
        (1.0, 0.0, False, False),  # as in an evaluation: not covered
        (1.0, 1.0, True, True),
    ]
    assert judge.asked == 8


def test_another_scorer_takes_the_service_as_right():
    found = score_pairs(PAIRS[1:2] + PAIRS[4:], Judge(), builder(gate={"scorer": "exact_match"}))
    assert found == [
        PairScore(1.0, 0.0, False, True, "exact_match 0"),
        PairScore(1.0, 1.0, True, True, "exact_match 1"),
    ]


def test_a_scorer_that_does_not_apply_scores_nothing():
    found, equal = score_pairs(
        PAIRS[:1] + PAIRS[4:], Judge(), builder(gate={"scorer": "json_fields"})
    )
    assert found == PairScore(1.0, 0.0, False, False, "json_fields does not apply")
    assert equal == PairScore(1.0, 1.0, True, True, "equal")


@pytest.mark.parametrize("least", [3.0, 4.5])
def test_the_pass_mark_is_the_evaluators(least):
    [found] = score_pairs(PAIRS[:1], Judge(), builder(correctness_threshold=least))
    assert found.response == float(least <= 4)
