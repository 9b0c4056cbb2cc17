"""Whether an answer is what the task and the request ask for."""

import functools
import json
import re
from collections.abc import Mapping
from typing import Any, Literal

import jsonschema
import referencing
import referencing.exceptions

from serving.gateway.faults import Failure, Fault, failure
from serving.gateway.protocols.base import Ask, Reading
from serving.gateway.task import ServedTask

_FENCED = re.compile(r"\s*```[a-zA-Z]*\n(.*)\n```\s*", re.DOTALL)
_LONGEST_REASON = 200
_NOTHING_ELSE: referencing.Registry[Any] = referencing.Registry()


def service_problem(
    task: ServedTask, refusals: Literal["service", "model"], reading: Reading
) -> Failure | None:
    """Return what is wrong with a whole answer of the service that holds something.

    Args:
        task: Of the request.
        refusals: Who answers where the service refused for safety.
        reading: What it said.
    """
    if reading.is_refused:
        is_fault = refusals == "model"
        return failure(Fault.REFUSED, "the service refused for safety") if is_fault else None
    if reading.has_more:
        return None
    problem = contract_problem(task, reading.text, may_be_fenced=True)
    text = f"the answer breaks the task's contract: {problem}"
    return failure(Fault.CONTRACT, text) if problem else None


def contract_problem(task: ServedTask, text: str, *, may_be_fenced: bool = False) -> str | None:
    """Return what is wrong with an answer by the task's contract; None where nothing is.

    Args:
        task: With its output schema or its contract; where it has neither, all answers are right.
        text: The answer.
        may_be_fenced: Whether JSON in a code fence counts, as service LLMs like to write it.
    """
    if may_be_fenced:
        text = unfenced(text)
    if task.output_schema is not None and (problem := _schema_problem(task.output_schema, text)):
        return problem
    return task.contract(text) if task.contract else None


def unfenced(text: str) -> str:
    """Return the content of a text that is one code fence; any other text as it is."""
    found = _FENCED.fullmatch(text)
    return found[1] if found else text


def request_problem(ask: Ask, text: str) -> str | None:
    """Return what is wrong with an answer by what the request asks for; None where nothing is."""
    if ask.schema is not None:
        return _schema_problem(ask.schema, text)
    if not ask.wants_json:
        return None
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return "it is not JSON"
    return None


def _schema_problem(schema: Mapping[str, Any], text: str) -> str | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return "it is not JSON"
    try:
        validator = _validator(json.dumps(schema, sort_keys=True))
        error = jsonschema.exceptions.best_match(validator.iter_errors(value))
    except (jsonschema.SchemaError, referencing.exceptions.Unresolvable, RecursionError):
        return "the schema itself cannot be used"
    if error is None:
        return None
    # The message quotes the value; what matters is where and which rule.
    return f"{error.json_path} breaks {error.validator}"[:_LONGEST_REASON]


@functools.lru_cache(maxsize=64)
def _validator(schema: str) -> jsonschema.Draft202012Validator:
    loaded = json.loads(schema)
    jsonschema.Draft202012Validator.check_schema(loaded)
    # Without a registry of its own it would fetch what a caller's `$ref` names.
    return jsonschema.Draft202012Validator(loaded, registry=_NOTHING_ELSE)
