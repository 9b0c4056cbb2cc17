"""Reads JSONL files that components wrote, line by line, and tells which line is damaged."""

from collections.abc import Callable
from typing import TypeVar

import pydantic

from components.errors import UserError

_T = TypeVar("_T")


def read_rows(text: str, source: str, read: Callable[[str], _T]) -> list[_T]:
    """The rows of a file; lines that hold nothing are passed over.

    Only line feeds end a line: `str.splitlines` would also break at U+2028 and its like, which JSON
    allows inside strings.

    Args:
        text: What the file holds.
        source: Where it lies, for messages.
        read: Makes a row of a line; raises ValueError where that cannot be done.

    Raises:
        UserError: A line is no such row.
    """
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            rows.append(read(line))
        except ValueError as error:
            raise damaged(f"{source}, line {number}", error) from error
    return rows


def damaged(what: str, error: Exception) -> UserError:
    """The error for a file of an artifact that is not as a component wrote it.

    Args:
        what: The file, or the place in it.
        error: What is wrong with it.
    """
    return UserError(
        f"{what}: this is not what the component wrote ({_reason(error)}). Restore the file from a "
        "copy. Or run with another output_dir into which you copy the folder journal: everything "
        "is made anew, and nothing is paid for again."
    )


def _reason(error: Exception) -> str:
    if isinstance(error, pydantic.ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        return f"{place}: {first['msg']}" if place else str(first["msg"])
    return " ".join(str(error).split())
