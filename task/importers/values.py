"""Values that exports write in several ways: as themselves, or as JSON or Python text in a cell."""

import ast
import json
import warnings
from collections.abc import Mapping
from typing import Any


def parsed(value: object) -> object:
    """Read a text that holds an object or a list of messages, as CSV exports do; else itself."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return value
    inner = _literal(value)
    if inner is None:
        return value
    known = ("messages", "contents", "choices", "candidates", "generations", "role", "kwargs")
    items = inner if isinstance(inner, list) else [inner]
    while items and isinstance(items[0], list):
        items = items[0]
    is_message = items and all(isinstance(i, dict) and any(k in i for k in known) for i in items)
    return inner if is_message else value


def mapping(value: object) -> Mapping[str, object]:
    """Read an object, or the text of one; empty where it is none."""
    if isinstance(value, str):
        value = _literal(value)
    return value if isinstance(value, Mapping) else {}


def items_of(value: object) -> list[object]:
    """Return the items of a list; none where it is none."""
    return value if isinstance(value, list) else []


def parsed_list(value: object) -> Any:
    """Read a list, or the text of one; else the value itself.

    Raises:
        ValueError: It is the text of a list that cannot be read.
    """
    if not isinstance(value, str) or not value.lstrip().startswith("["):
        return value
    found = _literal(value)
    if not isinstance(found, list):
        raise ValueError(
            f"it holds a list that cannot be read, {value[:40]!r}: cut off, or as Python prints an "
            "array; export it as JSONL or Parquet"
        )
    return found


def _literal(text: str) -> Any:
    """Read the JSON of a value, or what Python prints of it, as pandas writes it into a CSV cell.

    Returns:
        The value; None where the text is neither.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of backslashes that Python does not know
            return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None  # TypeError: of `{{}}`, a set whose item cannot be one


def plain(value: object) -> str:
    """Read a text, the only text of an object, or write any other value as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and len(value) == 1:
        only = next(iter(value.values()))
        if isinstance(only, str):
            return only
    return json.dumps(value, ensure_ascii=False)
