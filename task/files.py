"""Read the rows of files and folders as teams have them, by their content."""

import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from core.errors import UserError
from task.text_files import Record, RowError, decode, read_csv, read_json

_TEXT_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".txt")
_ARROW_SUFFIXES = (".parquet", ".arrow")
_CSV_SUFFIXES = (".csv", ".tsv", ".txt")
# Files of a Hugging Face dataset folder that describe it.
_DESCRIPTIONS = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"}
_EXCEL_MAGIC = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
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
            if name.removesuffix(".gz").endswith(_TEXT_SUFFIXES + _ARROW_SUFFIXES):
                found.append(file)
            else:
                ignored.append(str(file.relative_to(root)))
    return found, ignored


def _read_file(path: Path, name: str) -> SourceFile:
    try:
        data = path.read_bytes()
        if data.startswith(_GZIP_MAGIC):
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        return _unreadable(name, f"cannot be read: {error}")
    if data.startswith(_EXCEL_MAGIC):
        return _unreadable(name, "an Excel or zip file; save the sheet as CSV (UTF-8)")
    if data.startswith((_PARQUET_MAGIC, _ARROW_MAGIC)) or ".arrow" in path.suffixes:
        kind = "Parquet" if data.startswith(_PARQUET_MAGIC) else "Arrow"
        return SourceFile(name, kind, list(_read_arrow(data, name)))
    try:
        text, encoding = decode(data)
    except RowError as error:
        return _unreadable(name, str(error))
    is_csv = name.removesuffix(".gz").endswith(_CSV_SUFFIXES) and text.lstrip()[:1] not in "{["
    records = read_csv(text, name) if is_csv else read_json(text, name)
    return SourceFile(name, f"{'CSV' if is_csv else 'JSON'}, {encoding}", list(records))


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
    except (pyarrow.ArrowException, OSError) as error:
        yield Record(name, RowError(f"not a Parquet or Arrow file: {error}"))
        return
    number = 0
    for batch in table.to_batches():
        for fields in batch.to_pylist():
            number += 1
            # A column that a row does not have is null there.
            present = {key: value for key, value in fields.items() if value is not None}
            yield Record(f"{name}, row {number}", present)
