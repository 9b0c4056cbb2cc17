"""What is wrong with an answer by its task's contract."""

import json

import pytest

from serving.gateway.checks import service_problem
from serving.gateway.protocols.base import Reading
from serving.gateway.task import ServedTask

SCHEMA = {"type": "object", "required": ["kind"], "properties": {"kind": {"enum": ["a", "b"]}}}
TASK = ServedTask(
    name="triage", model="m", round=1, hash="abc", base_url="http://127.0.0.1:1/v1",
    api_model="m", context_length=64, max_output_tokens=16, output_schema=SCHEMA,
    count_tokens=lambda messages: 1,
)  # fmt: skip


def said(text, **facts):
    reading = Reading()
    reading.add_text(text)
    for name, value in facts.items():
        setattr(reading, name, value)
    return reading


@pytest.mark.parametrize(
    ("text", "is_right"),
    [
        ('{"kind": "a"}', True),
        ('```json\n{"kind": "a"}\n```', True),
        ('```JSON\n{"kind": "a"}\n```', True),
        ('{"kind": "c"}', False),
        ('```json\n{"kind": "c"}\n```', False),
        ("Sorry, no.", False),
    ],
)
def test_a_service_may_put_its_json_into_a_fence(text, is_right):
    problem = service_problem(TASK, "service", said(text))
    assert (problem is None) is is_right


def test_an_answer_that_is_more_than_text_is_not_held_against_the_contract():
    assert service_problem(TASK, "service", said("calling", has_more=True)) is None


@pytest.mark.parametrize(("refusals", "is_fault"), [("service", False), ("model", True)])
def test_a_refusal_is_a_fault_where_the_model_answers_refused_requests(refusals, is_fault):
    problem = service_problem(TASK, refusals, said("", is_refused=True))
    assert (problem is not None) is is_fault


def test_where_a_large_answer_breaks_a_schema_is_said_in_few_words():
    schema = {"additionalProperties": {"additionalProperties": {"type": "string"}}}
    task = TASK.model_copy(update={"output_schema": schema})
    problem = service_problem(task, "service", said(json.dumps({"a" * 500: {"b": 1}})))
    assert len(problem.text) < 300
    assert problem.text.startswith("the answer breaks the task's contract: $.aaa")
