"""The CSV of human labels: what people, not the judge, say of responses."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from core.errors import UserError
from judging.requests import JudgedResponse

COLUMNS = ("prompt", "output", "response", "human_covered")
_YES = {"1", "yes", "y", "true"}
_NO = {"0", "no", "n", "false"}
_QUOTE = "'"
_NEEDS_QUOTE = ("=", "+", "-", "@", "\t", "\r", _QUOTE)


class Label(NamedTuple):
    """A human's decision whether a response covers its prompt."""

    judged: JudgedResponse
    covered: bool


def write_labels(responses: Iterable[JudgedResponse]) -> str:
    """Write a CSV to fill in: `human_covered` is empty and the judge's verdict is not shown.

    A text that a spreadsheet would take for a formula gets an apostrophe in front, which
    `read_labels` removes.
    """
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(COLUMNS)
    writer.writerows((*map(quoted, (r.prompt, r.output, r.response)), "") for r in responses)
    return stream.getvalue()


def read_labels(text: str, source: str) -> list[Label]:
    """Read a CSV of human labels; rows whose label is empty are left out.

    Args:
        text: The CSV, with a header row that holds `COLUMNS` in any order.
        source: Where the text comes from, for messages.

    Returns:
        One label for each response, in the file's order.

    Raises:
        UserError: A column is missing, a label is neither yes nor no, or a response has two
            different labels. All bad rows are named.
    """
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    try:
        header = next(rows, [])
        places = _places(header, source)
        labels: dict[JudgedResponse, bool] = {}
        problems = []
        for row in rows:
            problem = _add(row, places, labels)
            if problem:
                problems.append(f"line {rows.line_num}: {problem}")
    except csv.Error as error:
        raise UserError(f"{source}, line {rows.line_num}: not a CSV file: {error}.") from error
    if problems:
        raise UserError(
            f"{source} has labels that cannot be used. Write yes, no, or nothing.\n"
            + "\n".join(problems)
        )
    return [Label(judged, covered) for judged, covered in labels.items()]


def _places(header: Sequence[str], source: str) -> list[int]:
    names = [name.strip() for name in header]
    missing = [column for column in COLUMNS if column not in names]
    if missing:
        raise UserError(
            f"{source} lacks the column {', '.join(missing)}; it has {', '.join(names) or 'none'}. "
            "Make the file with: understudy sample-labels"
        )
    return [names.index(column) for column in COLUMNS]


def _add(row: Sequence[str], places: Sequence[int], labels: dict[JudgedResponse, bool]) -> str:
    """Add one row to `labels`; return what is wrong with it, or nothing."""
    if not row:
        return ""
    if len(row) <= max(places):
        return f"{len(row)} columns, too few"
    *texts, label = (row[place] for place in places)
    value = label.strip().lower()
    if not value:
        return ""
    if value not in _YES | _NO:
        return f"received {label!r}"
    covered = value in _YES
    prompt, output, response = map(unquoted, texts)
    if labels.setdefault(JudgedResponse(prompt, output, response), covered) != covered:
        return "the same response has another label above"
    return ""


def quoted(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would take for a formula."""
    return _QUOTE + text if text.startswith(_NEEDS_QUOTE) else text


def unquoted(text: str) -> str:
    """Remove the apostrophe that `quoted` put before a text."""
    is_quoted = text.startswith(_QUOTE) and text[1:].startswith(_NEEDS_QUOTE)
    return text[1:] if is_quoted else text
