r"""CSV with a JSON value in each cell, as Langfuse exports it.

Its writer doubles the quotes of a cell only where there is a comma in it. Every other text stands
there as JSON writes it, with backslashes before its quotes, and a CSV reader fails on it or takes
`\n` for two letters.
"""

import json
import re
from typing import Any

_COLUMNS = {"id", "input", "output"}
_OF_TRACES = {"traceId", "trace_id", "traceName", "trace_name", "sessionId", "session_id"}
_DOUBLED = re.compile(r'"((?:[^"]|"")*)"(?=,|$)')
_WITHOUT_COMMA = re.compile(r'"[^,]*"(?=,|$)')


def is_json_cells(text: str) -> bool:
    """Whether a text is such a file: its columns are those of traces, and every line is quoted.

    Args:
        text: A CSV file.
    """
    header, *lines = text.split("\n")
    columns = set(header.strip().split(","))
    if not (columns >= _COLUMNS and columns & _OF_TRACES):
        return False
    # JSON writes no line break, so a line that is not quoted belongs to another kind of CSV.
    rows = [line.strip() for line in lines if line.strip()]
    if len(rows) > 1 and not lines[-1].strip().endswith('"') and lines[-1].startswith('"'):
        rows.pop()  # it is cut off
    return bool(rows) and all(row.startswith('"') and row.endswith('"') for row in rows)


def split_json_cells(line: str) -> list[object] | None:
    r"""Read the cells of a line: objects and lists as themselves, all else as text.

    Args:
        line: One row, without its line break.

    Returns:
        The cells; None where the line is not of this kind.

    Example:
        >>> split_json_cells(r'"o1","Say \"hi\"","{""a"":1,""b"":2}"')
        ['o1', 'Say "hi"', {'a': 1, 'b': 2}]
    """
    cells, position = [], 0
    while position < len(line):
        text = _WITHOUT_COMMA.match(line, position)
        value = _json(text[0]) if text else None
        if text is None or not isinstance(value, str):
            text = _DOUBLED.match(line, position)
            if text is None:
                return None
            value = _value(text[1].replace('""', '"'))
        cells.append(value)
        position = text.end() + 1
    return cells


def _value(cell: str) -> Any:
    value = _json(cell)
    return value if isinstance(value, str | dict | list) else cell


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
