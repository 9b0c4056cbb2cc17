"""Values that exports write in several ways: as themselves, or as JSON text in a cell."""

import json
from collections.abc import Mapping
from typing import Any


def parsed(value: object) -> object:
    """Read a text that holds a JSON object or list of messages, as CSV exports do; else itself."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return value
    try:
        inner = json.loads(value)
    except (ValueError, RecursionError):
        return value
    known = ("messages", "contents", "choices", "candidates", "generations", "role", "kwargs")
    items = inner if isinstance(inner, list) else [inner]
    while items and isinstance(items[0], list):
        items = items[0]
    is_message = items and all(isinstance(i, dict) and any(k in i for k in known) for i in items)
    return inner if is_message else value


def mapping(value: object) -> Mapping[str, Any]:
    """Read an object, or the JSON text of one; empty where it is none."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, Mapping) else {}


def parsed_list(value: object) -> Any:
    """Read a list, or the JSON text of one; else the value itself."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        return json.loads(value)
    return value


def plain(value: object) -> str:
    """Read a text, the only text of an object, or write any other value as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and len(value) == 1:
        only = next(iter(value.values()))
        if isinstance(only, str):
            return only
    return json.dumps(value, ensure_ascii=False)
