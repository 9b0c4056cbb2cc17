"""Each cause is planted, and its advice is found in the findings of an evaluation."""

import dataclasses
import json

import pytest

from judging.report import describe_judge, make_findings
from judging.settings import EvaluatorSettings


def _ticket(priority):
    return json.dumps({"priority": priority})


@pytest.fixture
def advice(verdict_row):
    """Advice on 20 answers of the tuned model, each changed by a function of its number."""

    def make(change=lambda n: {}, *, service=None, **gate):
        settings = EvaluatorSettings.model_validate({"gate": gate})
        rows = {"tuned": [], "service": []}
        for n in range(20):
            output = _ticket(("low", "normal", "normal", "high")[n % 4])
            row = dataclasses.replace(verdict_row(str(n), True), output=output, response=output)
            rows["tuned"].append(dataclasses.replace(row, **change(n)))
            rows["service"].append(
                dataclasses.replace(row, model="service", covered=service is None or n < service)
            )
        judge = describe_judge("gemini", "judge-1", settings)
        return make_findings(rows, settings, judge=judge, kind="json").advice

    return make


def test_right_answers_need_no_advice(advice):
    assert advice() == ()


def test_answers_that_were_cut_off_need_more_tokens(advice):
    cut = {"finish": "length", "response": '{"prio', "covered": False}
    assert advice(lambda n: cut) == (
        "20 of 20 answers were cut off: raise generation.max_output_tokens.",
        "priority is right in 0.0 %, where always the most frequent value would be in 50.0 %: the "
        "model has not learned it. Say in task.instruction what decides it, and compare its output "
        "values in the report.",
    )
    assert advice(lambda n: cut if n < 1 else {}) == (), "one of twenty makes no rate low"


def test_answers_in_another_form_are_named(advice):
    (found,) = advice(lambda n: {"response": "Low, I think."} if n % 4 == 0 else {})
    assert found.startswith("5 of 20 answers are not JSON objects")


def test_a_field_that_is_always_answered_alike_is_named(advice):
    (found,) = advice(lambda n: {"response": _ticket("normal")})
    assert found.startswith("priority is right in 50.0 %, where always the most frequent value")


def test_answers_that_could_not_be_scored_are_named(advice):
    (found,) = advice(lambda n: {"scored": False, "covered": False} if n < 4 else {})
    assert found.startswith("4 of 20 answers could not be scored")


def test_a_service_below_the_threshold_is_named_unless_the_gate_is_relative(advice):
    (found,) = advice(service=10)
    assert found.startswith("The service LLM itself covers 50.0 %, less than the threshold of 80 %")
    assert advice(service=10, relative_to_service=True) == ()
