"""Columns of a table: their rows, and which of them become tags (few values that come back)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from task.importers.shape import Fields, Shape
from task.importers.values import mapping

_MAX_VALUES = 20  # different values of a column of tags
_MAX_CHARS = 40  # of a tag
_MIN_ROWS_PER_VALUE = 3.0
# How a call was made, in the words of the logs: no property of the task.
_TECHNICAL = frozenset(
    {"api_base", "cache_hit", "completion_tokens", "cost", "created", "custom_llm_provider"}
    | {"environment", "finish_reason", "latency", "level", "prompt_tokens", "protocol", "provider"}
    | {"reason", "response_status", "seed", "served_by", "service_tier", "status", "stream"}
    | {"system_fingerprint", "target", "task", "temperature", "top_p", "total_tokens", "version"}
    | {"weight", "parallel_tool_calls", "chosen", "rejected", "kind", "name", "call_type"}
    | {"span_kind", "status_code", "status_message", "parent_id", "start_time", "end_time"}
)
# What importers read the session from, inside metadata.
_SESSIONS = frozenset({"session_id", "thread_id", "conversation_id", "Helicone-Session-Id"})


class Columns(NamedTuple):
    """What became of the columns that no importer reads.

    Attributes:
        tags: Columns whose values are tags, as `column:value`.
        ignored: All others.
    """

    tags: tuple[str, ...]
    ignored: tuple[str, ...]


def rows_of_columns(fields: Fields) -> list[Fields] | None:
    """Return the rows of a table that is written column by column, as pandas and datasets do.

    Args:
        fields: An object.

    Returns:
        Its rows; None where it is no such table.

    Example:
        >>> rows_of_columns({"prompt": {"0": "a", "1": "b"}, "output": {"0": "c", "1": "d"}})
        [{'prompt': 'a', 'output': 'c'}, {'prompt': 'b', 'output': 'd'}]
    """
    # A data frame of spans has their ids for numbers.
    is_of_spans = any(name.startswith("attributes.") for name in fields)
    columns = _columns(list(fields.values()), is_of_spans=is_of_spans)
    if len(columns) < 2 or not all(columns) or len({len(column) for column in columns}) > 1:
        return None
    return [dict(zip(fields, values, strict=True)) for values in zip(*columns, strict=True)]


def _columns(values: list[object], *, is_of_spans: bool) -> list[list[object]]:
    """Return the columns of a table: lists, or objects with the same row numbers; else none."""
    labelled = [value for value in values if isinstance(value, Mapping)]
    if labelled and len(labelled) == len(values):
        labels = list(labelled[0])
        is_table = is_of_spans or all(label.isdecimal() for label in labels)
        if not is_table or any(list(column) != labels for column in labelled):
            return []
        return [list(column.values()) for column in labelled]
    listed = [value for value in values if isinstance(value, list)]
    # Lists of objects are the messages of one row.
    is_nested = any(isinstance(value, Mapping | list) for column in listed for value in column)
    return listed if len(listed) == len(values) and not is_nested else []


def other_columns(rows: Sequence[Fields], shape: Shape) -> Columns:
    """Sort the columns that the shape does not read.

    Args:
        rows: All rows of the source.
        shape: Their shape.
    """
    values: dict[str, Counter[str]] = {}
    unfit: dict[str, None] = {}
    for row in rows:
        for name, value in extra_fields(row, shape).items():
            if name in _TECHNICAL or not isinstance(value, str | bool) or not str(value).strip():
                unfit[name] = None
            else:
                values.setdefault(name, Counter())[str(value).strip()] += 1
    fit = [name for name, counts in values.items() if name not in unfit and _is_closed(counts)]
    return Columns(tuple(fit), tuple(sorted((set(values) | set(unfit)) - set(fit))))


def column_tags(row: Fields, shape: Shape, columns: Sequence[str]) -> tuple[str, ...]:
    """Make a row's tags of its columns: `column:value`."""
    extra = extra_fields(row, shape)
    return tuple(f"{name}:{str(extra[name]).strip()}" for name in columns if name in extra)


def extra_fields(row: Fields, shape: Shape) -> dict[str, object]:
    """Collect the fields that the shape does not read; metadata as `metadata.key`."""
    extra: dict[str, object] = {}
    for name, value in row.items():
        if name in shape.metadata:
            inner = mapping(value).items()
            extra |= {f"{name}.{key}": field for key, field in inner if key not in _SESSIONS}
        elif name not in shape.columns:
            extra[name] = value
    return {name: value for name, value in extra.items() if value is not None}


def _is_closed(counts: Counter[str]) -> bool:
    few = 2 <= len(counts) <= _MAX_VALUES and max(map(len, counts)) <= _MAX_CHARS
    return few and counts.total() >= _MIN_ROWS_PER_VALUE * len(counts)
