"""Read CSV as people have it: any delimiter, and what programs write next to a table."""

import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence

from task.json_cells import is_json_cells, split_json_cells
from task.text_files import NOT_UTF8, UNDECODABLE, Record, RowError, UnfinishedError

DELIMITERS = (",", ";", "\t", "|")
_MARK = "\ufeff"  # one that the decoder leaves, where a program has written a second one
_HALF = "\udc80"  # stands for a last character that is half written
_SAMPLE_ROWS = 50  # rows that choose the delimiter
_MAX_CELL_CHARS = 2**27  # csv's own limit of 131,072 is shorter than a long prompt


def read_csv(text: str, name: str, *, is_cut: bool = False) -> Iterator[Record]:
    """Read delimited text with a header line; empty cells are left out.

    Args:
        text: The file's text.
        name: The file's name.
        is_cut: It ends inside a character, so its last row is not whole.
    """
    if not is_cut:
        yield from _records(text, name)
        return
    # The mark makes a row of its own where nothing but the character is left of the last one.
    *whole, last = [*_records(text + _HALF, name)] or [Record(name, UnfinishedError())]
    yield from whole
    yield Record(last.place, UnfinishedError())


def _records(text: str, name: str) -> Iterator[Record]:
    """Yield the rows of a whole text.

    The delimiter is what a first line `sep=;` says (as Excel writes it), else the one of
    `DELIMITERS` that splits the first rows most evenly. Columns without a name are left out where
    they are empty, as spreadsheets write them next to a table, or hold the row numbers of pandas.
    """
    if is_json_cells(text):
        yield from _read_json_cells(text, name)
        return
    delimiter, body, skipped = _delimiter(text)
    header: list[str] | None = None
    for line, cells in _rows(body, delimiter):
        place = f"{name}, line {line + skipped}"
        if isinstance(cells, RowError):
            yield Record(place, cells)
        elif not any(cell.strip() for cell in cells):
            continue
        elif header is None:
            header = [cell.strip().removeprefix(_MARK) for cell in cells]
            named = [column for column in header if column]
            if len(set(named)) < len(named):
                yield Record(place, RowError(f"the first line names a column twice: {header!r}"))
                return
        else:
            yield Record(place, _cells(header, cells))


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str] | RowError]]:
    """Yield the first line, from 1, of each row, and its cells or why there are none.

    A row that is not CSV is the last one, unless its quotes come in pairs: then it ends with its
    line, and nothing that follows is a part of it.
    """
    csv.field_size_limit(_MAX_CELL_CHARS)
    lines = list(io.StringIO(_without_spaces(text, delimiter), newline=""))
    reader = csv.reader(iter(lines), delimiter=delimiter, strict=True)
    while True:
        start = reader.line_num
        try:
            yield start + 1, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if reader.line_num > start + 1 or lines[start].count('"') % 2:
                reason = f"not CSV from here, so no later row is read: {error}"
                yield start + 1, RowError(reason)
                return
            yield start + 1, RowError(f"not CSV: {error}")


def _without_spaces(text: str, delimiter: str) -> str:
    """Take away the spaces before quoted cells, as people write a list; other cells keep theirs.

    Such a cell ends with its line or the next delimiter; inside a quoted cell quotes are doubled.
    """
    end = re.escape(delimiter)
    if not re.search(rf'(?:^|{end}) +"', text, re.MULTILINE):
        return text
    quoted = r'"(?:[^"]++|"")*+"'
    # One cell at a time, so that nothing inside of a quoted one is taken for the start of another.
    cell = re.compile(
        rf"(?: +(?P<quoted>{quoted})(?=[{end}\r\n]|\Z)|{quoted}[^{end}\r\n]*+|[^{end}\r\n]*+)"
        rf"(?P<end>[{end}\r\n]|\Z)"
    )
    if not any(found["quoted"] for found in cell.finditer(text)):
        return text

    def spaceless(found: re.Match[str]) -> str:
        # Where some are quoted behind a space, one that is so in part is amiss, and refused.
        bare = found[0].lstrip(" ")
        return bare if bare.startswith('"') else found[0]

    return cell.sub(spaceless, text)


def _read_json_cells(text: str, name: str) -> Iterator[Record]:
    header, *lines = text.split("\n")
    columns = header.strip().split(",")
    for number, line in enumerate(lines, start=2):
        if line.strip():
            yield Record(f"{name}, line {number}", _json_cells(columns, line.strip()))


def _json_cells(columns: list[str], line: str) -> dict[str, object] | RowError:
    # A cell may be an object, in which `_cells` looks for no byte.
    if UNDECODABLE.search(line):
        return RowError(NOT_UTF8)
    cells = split_json_cells(line)
    return _cells(columns, cells) if cells else RowError("not CSV with JSON in its cells")


def _cells(header: list[str], cells: Sequence[object]) -> dict[str, object] | RowError:
    width = len(header)
    blank = [not str(cell).strip() for cell in cells]
    if any(isinstance(cell, str) and UNDECODABLE.search(cell) for cell in cells):
        return RowError(NOT_UTF8)
    # Some programs end each row, or only the header, with delimiters.
    too_wide = not all(blank[width:])
    if too_wide or any(header[len(cells) :]):
        return RowError(f"{len(cells)} cells, but the first line names {width} columns")
    named = list(zip(header, cells, blank, strict=False))
    if header[0] == "" and str(cells[0]).strip().isdecimal():
        named = named[1:]  # the row numbers that pandas writes
    if not all(is_blank for column, _, is_blank in named if not column):
        return RowError("a cell in a column without a name")
    return {column: cell for column, cell, is_blank in named if not is_blank}


def _delimiter(text: str) -> tuple[str, str, int]:
    """Return the delimiter, the text to parse, and the lines skipped before it."""
    first, _, rest = text.partition("\n")
    said = first.strip("\r ").removeprefix('"').removesuffix('"')
    if said.lower().startswith("sep=") and len(said) == len("sep=,"):
        return said[-1], rest, 1
    return max(DELIMITERS, key=lambda delimiter: _evenness(text, delimiter)), text, 0


def _evenness(text: str, delimiter: str) -> tuple[float, int]:
    """How well a delimiter fits: the share of rows as wide as the header, then the width."""
    rows = itertools.islice(_rows(text, delimiter), _SAMPLE_ROWS)
    widths = [len(row) for _, row in rows if row and not isinstance(row, RowError)]
    if not widths or widths[0] < 2:
        return 0.0, 0
    return sum(width == widths[0] for width in widths) / len(widths), widths[0]
