"""Turns a reply's text into a value of the request's schema.

Read are also a reply after a block of thoughts, one in a code fence, and whole numbers that are
written as `4.0` or `"4"`. Nothing else is guessed or repaired.
"""

import json
import re
import typing
from typing import Any

import pydantic

from service_llm.types import Finish, Reply

REFUSED = "refused"
BAD_OUTPUT = "bad_output"
TRUNCATED = "truncated"

_THOUGHTS = re.compile(r"\s*<think>.*?</think>", re.DOTALL)
_FENCED = re.compile(r"\s*```(?:json)?[ \t]*\r?\n(.*?)\s*```\s*", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"\s*```(?:json)?[ \t]*\r?\n", re.IGNORECASE)
_WHOLE = re.compile(r"-?\d{1,15}", re.ASCII)
_INTEGER_ERRORS = {"int_type", "int_from_float"}


def parse(reply: Reply, schema: type[pydantic.BaseModel]) -> tuple[Any, str | None]:
    """Return the value of a reply; why it ended is looked at before its text.

    Args:
        reply: What the provider sent.
        schema: What it has to be.

    Returns:
        The value and None; or None and `refused`, `bad_output` or `truncated`. Of a truncated list
        the complete items are kept: then there are both a value and `truncated`.
    """
    if reply.finish is Finish.REFUSED:
        return None, REFUSED
    text = _THOUGHTS.sub("", reply.text, count=1) if _THOUGHTS.match(reply.text) else reply.text
    if reply.finish is Finish.LENGTH:
        return _complete_items(_without_fence(text), schema), TRUNCATED
    fenced = _FENCED.fullmatch(text)
    value = _validated(fenced[1] if fenced else text, schema)
    return (value, None) if value is not None else (None, BAD_OUTPUT)


def _without_fence(text: str) -> str:
    """Return a text that was cut off, without the fence that it begins with."""
    opening = _FENCE.match(text)
    return text[opening.end() :] if opening else text


def _validated(text: str, schema: type[pydantic.BaseModel]) -> object:
    try:
        return schema.model_validate_json(text, strict=True)
    except pydantic.ValidationError as error:
        problems = error.errors(include_url=False, include_context=False)
    if any(problem["type"] not in _INTEGER_ERRORS for problem in problems):
        return None
    fields = json.loads(text)
    for problem in problems:
        if not _make_whole(fields, problem["loc"]):
            return None
    try:
        return schema.model_validate(fields, strict=True)
    except pydantic.ValidationError:
        return None


def _make_whole(fields: Any, place: tuple[int | str, ...]) -> bool:
    """Put a whole number where it is written as another type; False where it is none."""
    try:
        for part in place[:-1]:
            fields = fields[part]
        value = fields[place[-1]]
    except (KeyError, IndexError, TypeError):
        return False
    if isinstance(value, float) and value.is_integer():
        fields[place[-1]] = int(value)
        return True
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        fields[place[-1]] = int(value)
        return True
    return False


def _complete_items(text: str, schema: type[pydantic.BaseModel]) -> object:
    """Return the value with the complete items of its list; None for another schema."""
    if len(schema.model_fields) != 1:
        return None
    ((name, field),) = schema.model_fields.items()
    if typing.get_origin(field.annotation) is not list:
        return None
    head = re.match(rf'\s*\{{\s*"{re.escape(name)}"\s*:\s*\[', text)
    if head is None:
        return None
    items = _items(text[head.end() :])
    try:
        return schema.model_validate({name: items}, strict=True) if items else None
    except pydantic.ValidationError:
        return None


def _items(text: str) -> list[Any]:
    """Items of a JSON list that lost its end, from behind its opening bracket.

    An item counts as complete only when a comma or the closing bracket follows: a number that was
    cut is a number, too.
    """
    decoder = json.JSONDecoder()
    items: list[Any] = []
    rest = text.lstrip()
    while rest:
        try:
            item, end = decoder.raw_decode(rest)
        except (ValueError, RecursionError):  # ValueError: also a number of too many digits
            return items
        rest = rest[end:].lstrip()
        if not rest.startswith((",", "]")):
            return items
        items.append(item)
        if rest.startswith("]"):
            return items
        rest = rest[1:].lstrip()
    return items
