"""Turns a reply's text into a value of the request's schema; nothing is guessed or mended."""

import json
import re
import typing
from typing import Any

import pydantic

from components.service_llm.types import Finish, Reply

REFUSED = "refused"
BAD_OUTPUT = "bad_output"
TRUNCATED = "truncated"


def parse(reply: Reply, schema: type[pydantic.BaseModel]) -> tuple[Any, str | None]:
    """The value of a reply; why it ended is looked at before its text.

    Args:
        reply: What the provider sent.
        schema: What it has to be.

    Returns:
        The value and None; or None and `refused`, `bad_output` or `truncated`. Of a truncated list
        the complete items are kept: then there are both a value and `truncated`.
    """
    if reply.finish is Finish.REFUSED:
        return None, REFUSED
    if reply.finish is Finish.LENGTH:
        return _complete_items(reply.text, schema), TRUNCATED
    try:
        return schema.model_validate_json(reply.text, strict=True), None
    except pydantic.ValidationError:
        return None, BAD_OUTPUT


def _complete_items(text: str, schema: type[pydantic.BaseModel]) -> Any:
    """The value with the complete items of its list; None where the schema is no single list."""
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
