"""Where a prompt has several right answers, the closest one counts, and the judge sees all."""

import json
import re

import pytest

from core.records import ResponseRow
from judging.references import closest_first
from judging.requests import JudgedResponse, RequestBuilder
from judging.scorers import score_all
from judging.settings import EvaluatorSettings
from judging.strict import strict_equal
from task.task import Task

BUILDER = RequestBuilder(Task(name="t", instruction="i"), EvaluatorSettings(), b"salt")


def row(response, output="Thank you.", references=("Many thanks, Ada.", "Cheers!")):
    return ResponseRow("a", "p", output, "seed", (), response, "stop", references=references)


@pytest.mark.parametrize(
    ("response", "closest"),
    [("Cheers!", "Cheers!"), ("many thanks", "Many thanks, Ada."), ("Thank you.", "Thank you.")],
)
def test_the_closest_right_answer_is_compared_and_the_others_stay(response, closest):
    found = closest_first(row(response))
    assert found.output == closest
    assert {found.output, *found.references} == {"Thank you.", "Many thanks, Ada.", "Cheers!"}
    (scores,) = score_all([(found.output, found.response)])
    assert scores["rouge_l"] == max(
        s["rouge_l"] for s in score_all([(r, response) for r in (found.output, *found.references)])
    )


def test_a_response_in_json_that_equals_any_right_answer_is_right_to_the_strict_scorer():
    answers = [json.dumps({"kind": kind, "total": 3}) for kind in ("a", "b", "c")]
    found = closest_first(row('{"total": 3, "kind": "b"}', answers[0], tuple(answers[1:])))
    assert strict_equal(found.output, found.response, "json")


def test_the_judge_sees_all_right_answers_in_blocks_and_is_asked_as_before_where_there_is_one():
    many = BUILDER.judge(JudgedResponse.of(row("Hm.")), 0, tag="").prompt
    for answer in ("Thank you.", "Many thanks, Ada.", "Cheers!", "Hm."):
        assert f">\n{answer}\n</" in many
    assert len(re.findall(r"<right_answer \w{6}>", many)) == 2
    one = BUILDER.judge(JudgedResponse.of(row("Hm.", references=())), 0, tag="").prompt
    assert one == BUILDER.judge(JudgedResponse("p", "Thank you.", "Hm."), 0, tag="").prompt
    assert "right_answer" not in one


def test_a_row_with_one_right_answer_stays_as_it_is():
    alone = row("Hm.", references=())
    assert closest_first(alone) is alone
