"""Decode text files and read JSON as people have it; CSV is left to `csv_files`."""

import codecs
import json
import re
from collections.abc import Iterator
from typing import NamedTuple

_MAX_ZEROS = 0.05  # of the bytes of a text that is not UTF-16; of Western UTF-16 half are
_MAX_ACCENTED = 0.3  # of the letters; French has 0.04, Chinese or Russian read as Western 0.6
UNDECODABLE = re.compile("[\udc80-\udcff]")  # a byte that is not UTF-8, as `decode` keeps it
NOT_UTF8 = "it is not UTF-8 text, as the rest of the file is"
_UNFINISHED = (
    "the end of the file is half a row: it is still being written, or was cut off; all rows before "
    "are read"
)
# First bytes of é or ü, of quotes and dashes, and of emoji, in UTF-8. At the end of a file that is
# ASCII else, other such bytes are rather the last letter of Windows-1252, as of "café".
_HALVES = (b"\xc2", b"\xc3", b"\xe2", b"\xf0")
_SPACE = re.compile(r"\s*")
_LAST_COMMA = re.compile(r",\s*\]\s*$")  # which some exports leave behind their last row
_BOMS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)


class RowError(ValueError):
    """A row that cannot be used; the message is the reason."""


class UnfinishedError(RowError):
    """The last row of a file that somebody is still writing."""

    def __init__(self) -> None:
        super().__init__(_UNFINISHED)


class Record(NamedTuple):
    """One row of a file, not yet understood.

    Attributes:
        place: File and line or row, for messages.
        fields: The row's fields, or why they cannot be read.
    """

    place: str
    fields: dict[str, object] | RowError


class Decoded(NamedTuple):
    """A file's text and the encoding it was read with.

    Attributes:
        text: Without a last character that is half written.
        encoding: Its name.
        is_cut: There is such a character, so the last row is not whole.
    """

    text: str
    encoding: str
    is_cut: bool = False


def decode(data: bytes) -> Decoded:
    """Decode by byte-order mark, else as UTF-8, UTF-16 or Windows-1252, in this order.

    Where a file is UTF-8 but for some bytes, these survive as lone surrogates, so that the readers
    refuse their rows alone.

    Raises:
        RowError: It is none of these.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _decoded(data[len(mark) :], encoding)
    start = data[:1000]
    if start.count(0) > _MAX_ZEROS * len(start):
        # Zero bytes of Western text: at odd places in little-endian, at even ones in big-endian.
        little = data[1:1000:2].count(0) >= data[0:1000:2].count(0)
        return _decoded(data, "utf-16-le" if little else "utf-16-be")
    try:
        return Decoded(data.decode("utf-8"), "utf-8")
    except UnicodeDecodeError as error:
        whole, rest = data[: error.start], data[error.start :]
        if error.reason == "unexpected end of data" and (
            not whole.isascii() or len(rest) > 1 or rest in _HALVES
        ):
            return Decoded(whole.decode("utf-8"), "utf-8", is_cut=True)
        text = data.decode("utf-8", "surrogateescape")
        damaged = len(UNDECODABLE.findall(text))
        # Accented letters of Windows-1252 hardly ever make a valid character of UTF-8.
        if sum(not char.isascii() for char in text) > 2 * damaged:
            return Decoded(text, "utf-8")
        return _western(_decoded(data, "cp1252"))


def _decoded(data: bytes, encoding: str) -> Decoded:
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
        text = decoder.decode(data)
        # It keeps the bytes of a last character that is half written.
        return Decoded(text, encoding, is_cut=bool(decoder.getstate()[0]))
    except UnicodeDecodeError as error:
        raise RowError(
            f"not UTF-8, UTF-16 or Windows-1252 text (byte {error.start}); save the file as UTF-8"
        ) from error


def _western(found: Decoded) -> Decoded:
    """Refuse what only seems to be Windows-1252: any bytes of another encoding are letters of it.

    Raises:
        RowError: Far more letters have an accent than in any Western language.
    """
    accented = sum(char.isalpha() and not char.isascii() for char in found.text)
    if accented > _MAX_ACCENTED * sum(map(str.isalpha, found.text)):
        raise RowError("its encoding is neither UTF-8, UTF-16 nor Windows-1252; save it as UTF-8")
    return found


def read_json(text: str, name: str) -> Iterator[Record]:
    """Read a JSON array, JSON documents one after another, or one JSON object per line."""
    start = text.lstrip()[:1]
    if start == "[" or (start == "{" and not _first_line_is_object(text)):
        documents = list(_read_documents(text, name))
        broken = any(isinstance(record.fields, RowError) for record in documents)
        # A first line that is broken hides no other.
        if not (broken and start == "{" and any(map(_is_object, text.split("\n")))):
            yield from documents
            return
    # str.splitlines would also split at U+2028, which JSON strings may hold.
    *lines, last = text.split("\n")
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield Record(f"{name}, line {number}", _object(line))
    if last.strip():
        found = UnfinishedError() if _is_half(last) else _object(last)
        yield Record(f"{name}, line {len(lines) + 1}", found)


def _is_half(line: str) -> bool:
    """Whether a line without its end is the beginning of an object, and no more."""
    line = line.strip().removesuffix(",")
    try:
        json.loads(line)
    except json.JSONDecodeError as error:
        # The brace at the end may be one of a text that is cut off behind it.
        is_in_text = error.msg.startswith("Unterminated string")
        is_cut = is_in_text or not line.endswith("}") or error.pos >= len(line)
        return line.startswith("{") and is_cut and not error.msg.startswith("Extra data")
    except (ValueError, RecursionError):
        pass
    return False


def _first_line_is_object(text: str) -> bool:
    return _is_object(text.lstrip().split("\n", 1)[0])


def _is_object(line: str) -> bool:
    return line.startswith("{") and isinstance(_object(line), dict)


def _read_documents(text: str, name: str) -> Iterator[Record]:
    """Read documents one after another: an array's items, or objects."""
    decoder = json.JSONDecoder(object_pairs_hook=_unique)
    text = _LAST_COMMA.sub("]", text)
    is_damaged = UNDECODABLE.search(text) is not None
    position, number = _after_space(text, 0), 0
    while position < len(text):
        number += 1
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            yield Record(name, RowError(f"not JSON: {error}"))
            return
        position = _after_space(text, position)
        is_only = number == 1 and position == len(text)
        place = name if is_only else f"{name}, document {number}"
        items = [(place, value)]
        if isinstance(value, list) and not _is_conversation(value):
            items = [(f"{place}, item {n}", item) for n, item in enumerate(value, start=1)]
        for where, item in items:
            yield Record(where, _fields(item, is_damaged=is_damaged))


def _after_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _fields(value: object, *, is_damaged: bool) -> dict[str, object] | RowError:
    if _is_conversation(value):
        value = {"messages": value}
    if not isinstance(value, dict):
        return _no_object(value)
    if is_damaged and UNDECODABLE.search(json.dumps(value, ensure_ascii=False)):
        return RowError(NOT_UTF8)
    return value


def _is_conversation(value: object) -> bool:
    """Whether a list is no list of rows, but the messages of one."""
    return (
        isinstance(value, list)
        and len(value) > 1
        and all(
            isinstance(item, dict) and "role" in item and ("content" in item or "parts" in item)
            for item in value
        )
    )


def _object(line: str) -> dict[str, object] | RowError:
    if UNDECODABLE.search(line):
        return RowError(NOT_UTF8)
    try:
        # A mark stands inside where files with one were put into one.
        line = line.strip().removeprefix("\ufeff").removesuffix(",")
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


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise RowError(f"the field {repeated!r} appears more than once")
    return fields
