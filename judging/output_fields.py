"""Reads outputs as JSON, field by field; what equal fields mean is left to `strict`."""

import json
from collections.abc import Mapping
from typing import Any

from task.form import loads

ABSENT = "(absent)"
UNREADABLE = "(not JSON)"
ARRAY = "(array)"
"""The one field of an output that is a JSON array."""

Fields = Mapping[str, Any]


def read_fields(text: str) -> Fields | None:
    r"""Flatten a JSON object to its fields by dotted path; None for any other text.

    An array is one value, and so is an object without keys. A dot in a key is written `\\.`.
    """
    try:
        value = loads(text)
    except ValueError:
        return None
    return dict(_leaves(value, "")) if isinstance(value, dict) else None


def json_fields(text: str) -> Fields | None:
    """Return the fields of an output in JSON, of an array the one `ARRAY`; None for other text."""
    found = read_fields(text)
    if found is not None or not text.lstrip().startswith("["):
        return found
    try:
        value = loads(text)
    except ValueError:
        return None
    return {ARRAY: value} if isinstance(value, list) else None


def value_text(fields: Fields | None, path: str) -> str:
    """Return a field's value as JSON, or what stands for a field or an object that is not there."""
    if fields is None:
        return UNREADABLE
    return json.dumps(fields[path], ensure_ascii=False) if path in fields else ABSENT


def _leaves(value: Any, path: str) -> list[tuple[str, Any]]:
    if not isinstance(value, dict) or (path and not value):
        return [(path, value)]
    return [
        leaf
        for key, child in value.items()
        for leaf in _leaves(child, f"{path}.{_escaped(key)}" if path else _escaped(key))
    ]


def _escaped(key: str) -> str:
    return key.replace("\\", "\\\\").replace(".", "\\.")


def same_value(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal; in Python True == 1, in JSON it is not."""
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_value, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_value(one[key], other[key]) for key in one)
    return bool(one == other)
