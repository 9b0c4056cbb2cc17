"""Read the rows of files and folders as teams have them, by their content."""

import gzip
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from core.errors import UserError
from task.csv_files import read_csv
from task.text_files import Record, RowError, UnfinishedError, decode, read_json

_TEXT_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".txt")
_ARROW_SUFFIXES = (".parquet", ".arrow", ".feather")
_JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
# Of a saved Hugging Face dataset: rows as some `map` or `filter` made them.
_CACHE = re.compile(r"cache-.*\.arrow")
# Files of a Hugging Face dataset folder that describe it.
_DESCRIPTIONS = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"}
_EXCEL_MAGIC = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_PACKED = {b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
_GZIP_MAGIC = b"\x1f\x8b"
_PARQUET_MAGIC = b"PAR1"
_ARROW_MAGIC = b"ARROW1"  # the file format; Hugging Face writes the streaming one, without magic


class SourceFile(NamedTuple):
    """The rows of one file.

    Attributes:
        name: Its path in the folder.
        kind: Its format and encoding: "CSV, cp1252".
        records: In their order.
    """

    name: str
    kind: str
    records: list[Record]

    @property
    def is_csv(self) -> bool:
        """Whether its first line names the columns."""
        return self.kind.startswith("CSV")


class Source(NamedTuple):
    """The rows of a path.

    Attributes:
        files: The files read.
        ignored: Names of other files of the folder.
    """

    files: list[SourceFile]
    ignored: list[str]


def read_source(path: str) -> Source:
    """Read a file, or all data files of a folder: JSONL, JSON, CSV, Parquet, Arrow, each gzipped.

    A folder may be a Hugging Face dataset, saved with `save_to_disk` or cloned from the Hub.

    Raises:
        UserError: There is no such path, or nothing in it can be read.
    """
    root = Path(path)
    if not root.exists():
        raise UserError(f"There is no file or folder {path!r}. Give the path of your pairs.")
    paths, ignored = _data_files(root) if root.is_dir() else ([root], [])
    if not paths:
        raise UserError(
            f"The folder {path!r} has no data file. Expected files that end in "
            f"{', '.join(_TEXT_SUFFIXES + _ARROW_SUFFIXES)}, or these with .gz."
        )
    base = root if root.is_dir() else root.parent
    return Source([_read_file(file, str(file.relative_to(base))) for file in paths], ignored)


def _data_files(root: Path) -> tuple[list[Path], list[str]]:
    """Return the data files of a folder, and the names of what else is in it."""
    found: list[Path] = []
    ignored: list[str] = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            file = Path(folder, name)
            if name.startswith(".") or name in _DESCRIPTIONS:
                continue
            suffixed = name.lower().removesuffix(".gz")
            if suffixed.endswith(_TEXT_SUFFIXES + _ARROW_SUFFIXES) and not _CACHE.fullmatch(name):
                found.append(file)
            else:
                ignored.append(str(file.relative_to(root)))
    return found, ignored


def _read_file(path: Path, name: str) -> SourceFile:
    is_half = False
    try:
        data = path.read_bytes()
        if data.startswith(_GZIP_MAGIC):
            data, is_half = _unpacked(data)
    except (OSError, EOFError, zlib.error) as error:
        return _unreadable(name, f"cannot be read: {error}")
    if packed := next((name for magic, name in _PACKED.items() if data.startswith(magic)), None):
        return _unreadable(name, f"compressed with {packed}; unpack it, or use gzip")
    if data.startswith(_EXCEL_MAGIC):
        return _unreadable(name, "an Excel or zip file; save the sheet as CSV (UTF-8)")
    if data.startswith((_PARQUET_MAGIC, _ARROW_MAGIC)) or ".arrow" in path.suffixes:
        kind = "Parquet" if data.startswith(_PARQUET_MAGIC) else "Arrow"
        return SourceFile(name, kind, list(_read_arrow(data, name)))
    return _read_text(data, name, is_half=is_half)


def _read_text(data: bytes, name: str, *, is_half: bool) -> SourceFile:
    try:
        text, encoding, is_cut = decode(data)
    except RowError as error:
        return _unreadable(name, str(error))
    is_json = name.lower().removesuffix(".gz").endswith(_JSON_SUFFIXES)
    is_csv = not is_json and text.lstrip()[:1] not in "{["
    if is_csv and is_half:
        return _unreadable(name, "cannot be read: it is cut off, and so may be its last row")
    if is_csv:
        records = list(read_csv(text, name, is_cut=is_cut))
    else:
        records = list(read_json(text, name))
        is_told = bool(records) and isinstance(records[-1].fields, RowError)
        if (is_half or is_cut) and not is_told:
            records.append(Record(name, UnfinishedError()))
    return SourceFile(name, f"{'CSV' if is_csv else 'JSON'}, {encoding}", records)


def _unpacked(data: bytes) -> tuple[bytes, bool]:
    """Return what is in gzip, and whether its end is missing, as while it is written.

    Raises:
        EOFError: Nothing of it can be read.
        zlib.error: It is damaged.
    """
    try:
        return gzip.decompress(data), False
    except EOFError:
        # More than one part can come from a logger that appends.
        unpacked = b""
        while data:
            unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
            unpacked += unpacker.decompress(data)
            data = unpacker.unused_data
        if not unpacked:
            raise
        return unpacked, True


def _unreadable(name: str, reason: str) -> SourceFile:
    return SourceFile(name, "unreadable", [Record(name, RowError(reason))])


def _read_arrow(data: bytes, name: str) -> Iterator[Record]:
    import pyarrow
    import pyarrow.ipc
    import pyarrow.parquet

    buffer = pyarrow.BufferReader(data)
    try:
        if data.startswith(_PARQUET_MAGIC):
            table = pyarrow.parquet.read_table(buffer)
        elif data.startswith(_ARROW_MAGIC):
            table = pyarrow.ipc.open_file(buffer).read_all()
        else:
            table = pyarrow.ipc.open_stream(buffer).read_all()
        table.validate(full=True)  # of a damaged file, reading rows would end the process
        rows = [fields for batch in table.to_batches() for fields in batch.to_pylist()]
    # UnicodeDecodeError: of a column's name.
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        yield Record(name, RowError(f"not a Parquet or Arrow file: {error}"))
        return
    # Python's dates end with the year 9999, and a time zone may be unknown here (a KeyError).
    except (OverflowError, ValueError, KeyError) as error:
        reason = f"a date or time in it cannot be read ({error}); write it as text, or leave it out"
        yield Record(name, RowError(reason))
        return
    for number, fields in enumerate(rows, start=1):
        # A column that a row does not have is null there.
        present = {key: value for key, value in fields.items() if value is not None}
        yield Record(f"{name}, row {number}", present)
