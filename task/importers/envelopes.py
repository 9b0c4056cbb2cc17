"""Take rows out of what APIs and files put around them: lists, tables by columns, traces."""

from collections.abc import Iterator, Mapping

from task.importers.columns import rows_of_columns
from task.importers.registry import SHAPES
from task.importers.shape import Fields
from task.importers.traces import has_spans, spans
from task.importers.values import items_of
from task.text_files import Record, RowError

# Where files and APIs put a list of rows inside one object.
_ENVELOPES = ("data", "runs", "observations", "traces", "examples", "rows", "records", "items")
_TURNS = ("conversation", "dialog", "dialogue", "history", "turns")
# Texts of a row: with one of these beside it, a list of rows is the row's own examples.
_OF_ROWS = frozenset(
    {"prompt", "question", "query", "input", "inputs", "instruction", "instructions", "text"}
    | {"system", "system_prompt", "context", "message", "messages", "contents", "user", "problem"}
    | {"output", "outputs", "answer", "response", "completion", "target", "label", "ideal"}
    | {"cases", "task", "ticket"}
)
# What is said about a dataset, in any number of words.
_ABOUT = frozenset(
    {"name", "title", "description", "license", "licence", "citation", "homepage", "url", "author"}
    | {"authors", "source", "created", "date", "version", "languages", "columns", "features"}
    | {"splits", "comment", "comments", "note", "notes", "info", "tags", "labels", "classes"}
    | {"keywords", "metrics", "canary"}  # of BIG-bench
)
_MAX_OTHERS = 8  # fields beside the rows


def unwrapped(record: Record, *, is_only: bool) -> Iterator[Record]:
    """Return the rows of an API's list, a table or an OTLP document; else the record itself.

    Args:
        record: One of a file.
        is_only: It is the whole file.
    """
    if isinstance(record.fields, RowError):
        yield record
        return
    try:
        rows = _rows(record.fields, is_only=is_only)
    except RowError as error:
        yield Record(record.place, error)
        return
    if rows is None:
        yield record
        return
    for number, row in enumerate(rows, start=1):
        inner = row.get("row") if "row_idx" in row else None  # of the Hub's dataset viewer
        fields = inner if isinstance(inner, dict) else row
        yield Record(f"{record.place}, row {number}", dict(fields))


def _rows(fields: Fields, *, is_only: bool) -> list[Fields] | None:
    if has_spans(fields):
        return list(spans(fields))
    if columns := rows_of_columns(fields):
        return columns
    if any(shape.matches(fields) for shape in SHAPES.values()):
        return None
    for name in _ENVELOPES:
        if (rows := _rows_in(fields.get(name))) and _is_envelope(fields, [name]):
            return rows
    return _known_rows(fields) if is_only else None


def _known_rows(fields: Fields) -> list[Fields] | None:
    """Return the rows of an object with a list of them by split, or one by id.

    What is in the object has to be rows of one shape, and not the turns of one conversation.
    """
    inner: list[Fields] = []
    names: list[str] = []
    for name, value in fields.items():
        if name in _TURNS:
            return None
        if rows := _rows_in(value):
            inner += rows
        elif isinstance(value, dict):
            inner.append(value)
        else:
            continue
        names.append(name)
    if not inner or not _is_envelope(fields, names):
        return None
    known = (shape for shape in SHAPES.values() if all(map(shape.matches, inner)))
    return inner if next(known, None) else None


def _rows_in(value: object) -> list[Fields]:
    """Return the objects of a list; none where it holds anything else."""
    items = items_of(value)
    rows: list[Fields] = [item for item in items if isinstance(item, dict)]
    return rows if len(rows) == len(items) else []


def _is_envelope(fields: Fields, names: list[str]) -> bool:
    """Whether an object only holds rows: nothing beside them may be a text of a row.

    A row may bring examples of its own ("few shots"), which are no dataset.
    """
    others = {name: value for name, value in fields.items() if name not in names}
    return len(others) <= _MAX_OTHERS and not any(map(_is_text_of_row, others, others.values()))


def _is_text_of_row(name: str, value: object) -> bool:
    name = name.strip().lower()
    if not value or isinstance(value, Mapping | bool | int | float) or _rows_in(value):
        return name in _OF_ROWS and bool(value)
    if name in _ABOUT:
        return False
    # A list of texts, or one of several words; an id, a date or a version is one word.
    return name in _OF_ROWS or isinstance(value, list) or len(str(value).split()) > 1
