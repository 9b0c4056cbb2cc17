"""Reads JSONL files that components wrote, line by line, and reports which line is damaged."""

from collections.abc import Callable
from typing import TypeVar

from core.errors import damaged

_T = TypeVar("_T")


def read_rows(text: str, source: str, read: Callable[[str], _T]) -> list[_T]:
    """Read the rows of a file; skip empty lines.

    Only line feeds end a line: `str.splitlines` would also break at U+2028 and its like, which JSON
    allows inside strings.

    Args:
        text: The content of the file.
        source: Its path or URI, for messages.
        read: Makes a row of a line; raises ValueError where that cannot be done.

    Raises:
        UserError: A line does not parse as a row.
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
