"""Decode text files and read JSON and CSV as people have them: any delimiter, BOM or encoding."""

import csv
import io
import itertools
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_ROWS = 50  # rows that choose the delimiter
_MAX_CELL_CHARS = 2**27  # csv's own limit of 131,072 is shorter than a long prompt
_BOMS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)


class RowError(ValueError):
    """A row that cannot be used; the message is the reason."""


class Record(NamedTuple):
    """One row of a file, not yet understood.

    Attributes:
        place: File and line or row, for messages.
        fields: The row's fields, or why they cannot be read.
    """

    place: str
    fields: dict[str, Any] | RowError


class Decoded(NamedTuple):
    """A file's text and the encoding it was read with."""

    text: str
    encoding: str


def decode(data: bytes) -> Decoded:
    """Decode by byte-order mark, else as UTF-8, UTF-16 or Windows-1252, in this order.

    Raises:
        RowError: It is none of these.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _decoded(data[len(mark) :], encoding)
    if b"\x00" in data[:1000]:
        # Zero bytes of Western text: at odd places in little-endian, at even ones in big-endian.
        little = data[1:1000:2].count(0) >= data[0:1000:2].count(0)
        return _decoded(data, "utf-16-le" if little else "utf-16-be")
    try:
        return Decoded(data.decode("utf-8"), "utf-8")
    except UnicodeDecodeError:
        return _decoded(data, "cp1252")


def _decoded(data: bytes, encoding: str) -> Decoded:
    try:
        return Decoded(data.decode(encoding), encoding)
    except UnicodeDecodeError as error:
        raise RowError(
            f"not UTF-8, UTF-16 or Windows-1252 text (byte {error.start}); save the file as UTF-8"
        ) from error


def read_json(text: str, name: str) -> Iterator[Record]:
    """Read a JSON array, one JSON document, or one JSON object per line."""
    start = text.lstrip()[:1]
    if start == "[" or (start == "{" and not _first_line_is_object(text)):
        yield from _read_document(text, name)
        return
    # str.splitlines would also split at U+2028, which JSON strings may hold.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield Record(f"{name}, line {number}", _object(line))


def _first_line_is_object(text: str) -> bool:
    return isinstance(_object(text.lstrip().split("\n", 1)[0]), dict)


def _read_document(text: str, name: str) -> Iterator[Record]:
    try:
        value = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        yield Record(name, RowError(f"not JSON: {error}"))
        return
    if isinstance(value, dict):
        yield Record(name, value)
        return
    for number, item in enumerate(value, start=1):
        place = f"{name}, item {number}"
        yield Record(place, item if isinstance(item, dict) else _no_object(item))


def _object(line: str) -> dict[str, Any] | RowError:
    try:
        value = json.loads(line, object_pairs_hook=_unique)
    except RowError as error:
        return error
    except json.JSONDecodeError as error:
        return RowError(f"not JSON: {error.msg.removesuffix(' at')} at column {error.colno}")
    except (ValueError, RecursionError) as error:
        return RowError(f"not JSON: {error}")
    return value if isinstance(value, dict) else _no_object(value)


def _no_object(value: object) -> RowError:
    return RowError(f"a JSON object is expected, found {repr(value)[:60]}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise RowError(f"the field {repeated!r} appears more than once")
    return fields


def read_csv(text: str, name: str) -> Iterator[Record]:
    """Read delimited text with a header line; empty cells are left out.

    The delimiter is what a first line `sep=;` says (as Excel writes it), else the one of
    `DELIMITERS` that splits the first rows most evenly.
    """
    delimiter, body, skipped = _delimiter(text)
    csv.field_size_limit(_MAX_CELL_CHARS)
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    start = 1
    try:
        for cells in reader:
            line, start = start, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                if len(set(header)) < len(header):
                    raise RowError(f"the first line names a column twice: {header!r}")
            else:
                yield Record(f"{name}, line {line + skipped}", _cells(header, cells))
    except (csv.Error, RowError) as error:
        reason = error if isinstance(error, RowError) else RowError(f"not CSV from here: {error}")
        yield Record(f"{name}, line {start + skipped}", reason)


def _cells(header: list[str], cells: list[str]) -> dict[str, Any] | RowError:
    if len(cells) != len(header):
        return RowError(f"{len(cells)} cells, but the first line names {len(header)} columns")
    return {name: cell for name, cell in zip(header, cells, strict=True) if cell.strip()}


def _delimiter(text: str) -> tuple[str, str, int]:
    """Return the delimiter, the text to parse, and the lines skipped before it."""
    first, _, rest = text.partition("\n")
    said = first.strip().removeprefix('"').removesuffix('"')
    if said.lower().startswith("sep=") and len(said) == len("sep=,"):
        return said[-1], rest, 1
    return max(DELIMITERS, key=lambda delimiter: _evenness(text, delimiter)), text, 0


def _evenness(text: str, delimiter: str) -> tuple[float, int]:
    """How well a delimiter fits: the share of rows as wide as the header, then the width."""
    csv.field_size_limit(_MAX_CELL_CHARS)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        widths = [len(row) for row in itertools.islice(reader, _SAMPLE_ROWS) if row]
    except csv.Error:
        return 0.0, 0
    if not widths or widths[0] < 2:
        return 0.0, 0
    return sum(width == widths[0] for width in widths) / len(widths), widths[0]
