"""From the bytes of one file to its records; what a record must hold is left to `rows`.

Bytes that are not UTF-8 survive decoding as lone surrogates, so that every other line of the file
is still checked.
"""

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from task.coverage.problems import BadRowError, shown

_BOM = b"\xef\xbb\xbf"
_UNDECODABLE = re.compile("[\udc80-\udcff]")
_CSV_COLUMNS = ("id", "prompt", "output", "split", "tags")
_REQUIRED_COLUMNS = ("prompt", "output")
_NOT_UTF8 = "not UTF-8 text; save the file as UTF-8"


class Record(NamedTuple):
    """One row of a file, not yet checked.

    Attributes:
        line: Line on which the row starts, from 1.
        fields: The row's fields, or why they cannot be read.
    """

    line: int
    fields: dict[str, object] | BadRowError


def parse_jsonl(data: bytes) -> Iterator[Record]:
    """Return the objects of a JSONL file; a BOM, blank lines and CRLF are accepted."""
    # str.splitlines would also split at U+2028, which JSON strings may hold.
    for number, line in enumerate(_decode(data).split("\n"), start=1):
        if line.strip():
            yield Record(number, _json_object(line))


def parse_csv(data: bytes) -> Iterator[Record]:
    """Return the rows of a comma-separated file with a header line; empty cells are left out.

    `tags` are separated by semicolons.
    """
    reader = csv.reader(io.StringIO(_decode(data), newline=""), strict=True)
    header: list[str] | None = None
    start = 1
    try:
        for cells in reader:
            line, start = start, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                _check_header(header)
            else:
                yield Record(line, _csv_fields(header, cells))
    except csv.Error as error:
        yield Record(start, BadRowError(f"not CSV from here on: {error}"))
    except BadRowError as error:
        yield Record(line, error)


def _decode(data: bytes) -> str:
    return data.removeprefix(_BOM).decode("utf-8", errors="surrogateescape")


def _is_undecodable(text: str) -> bool:
    return _UNDECODABLE.search(text) is not None


def _json_object(line: str) -> dict[str, object] | BadRowError:
    if _is_undecodable(line):
        return BadRowError(_NOT_UTF8)
    try:
        value = json.loads(line, object_pairs_hook=_object)
    except BadRowError as error:
        return error
    except json.JSONDecodeError as error:
        return BadRowError(f"not JSON: {error.msg.removesuffix(' at')} at column {error.colno}")
    except (ValueError, RecursionError) as error:
        return BadRowError(f"not JSON: {error}")
    if not isinstance(value, dict):
        return BadRowError(f"a JSON object is expected, found {shown(value)}")
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRowError(f"the field {shown(twice)} is there twice")
    return fields


def _check_header(header: list[str]) -> None:
    unknown = [name for name in header if name not in _CSV_COLUMNS]
    missing = [name for name in _REQUIRED_COLUMNS if name not in header]
    repeated = len(set(header)) < len(header)
    if unknown or missing or repeated:
        raise BadRowError(
            f"the first line is {shown(header)}; it must name the columns prompt and output, may"
            " name id, split and tags, each once, separated by commas"
        )


def _csv_fields(header: list[str], cells: list[str]) -> dict[str, object] | BadRowError:
    if len(cells) != len(header):
        return BadRowError(f"{len(cells)} cells, but the first line names {len(header)} columns")
    if any(_is_undecodable(cell) for cell in cells):
        return BadRowError(_NOT_UTF8)
    fields: dict[str, object] = {
        name: cell
        for name, cell in zip(header, cells, strict=True)
        if cell.strip() or name in _REQUIRED_COLUMNS
    }
    if "tags" in fields:
        tags = str(fields["tags"]).split(";")
        fields["tags"] = [tag.strip() for tag in tags if tag.strip()]
    return fields
