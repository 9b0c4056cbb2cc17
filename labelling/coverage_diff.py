"""Edited references as a unified diff of the coverage files, which a person applies."""

import csv
import difflib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from task.coverage.parsing import parse_csv, parse_jsonl
from task.coverage.problems import BadRowError
from task.coverage.rows import check_row
from task.coverage.split_file import SPLITS_FILE
from task.splits import DEFAULT_HOLDOUT_PERCENT

_PARSERS = {".jsonl": parse_jsonl, ".csv": parse_csv}
# How JSON lines are written: the first of these that reproduces a line is the line's own.
_JSON_STYLES: tuple[dict[str, Any], ...] = (
    {"ensure_ascii": False},
    {"ensure_ascii": True},
    {"ensure_ascii": False, "separators": (",", ":")},
    {"ensure_ascii": True, "separators": (",", ":")},
)


class _Edit(NamedTuple):
    """A record of a coverage file and its new reference; lines are counted from 0."""

    first: int
    fields: dict[str, Any]
    output: str


def coverage_diff(folder: Path, references: Mapping[str, str]) -> str:
    """Write the diff that puts new references into a coverage dataset.

    `patch -p1 -d FOLDER < FILE` applies it. Only the lines of the edited rows change; rows that
    hold the new reference already do not.

    Args:
        folder: The coverage dataset, in JSONL and CSV files.
        references: New reference by the row's id. Ids that the dataset does not hold are left out.
    """
    left = dict(references)  # of the rows that repeat a prompt, the first one holds the reference
    return "".join(
        _diff(path, left)
        for path in sorted(folder.iterdir())
        if path.suffix in _PARSERS and not path.name.startswith(".") and path.name != SPLITS_FILE
    )


def _diff(path: Path, left: dict[str, str]) -> str:
    data = path.read_bytes()
    text = data.decode("utf-8")
    old = _lines(text)
    new = list(old)
    edits = list(_edits(path, data, left))
    for edit in edits:
        if path.suffix == ".csv":
            _edit_csv(new, old, edit)
        else:
            new[edit.first] = _edited_json(old[edit.first], edit)
    after = _lines("".join(new))
    lines = difflib.unified_diff(old, after, f"a/{path.name}", f"b/{path.name}")
    return "".join(line if line.endswith("\n") else f"{line}\n{_NO_NEWLINE}" for line in lines)


_NO_NEWLINE = "\\ No newline at end of file\n"


def _edits(path: Path, data: bytes, left: dict[str, str]) -> Iterator[_Edit]:
    for record in _PARSERS[path.suffix](data):
        if isinstance(record.fields, BadRowError):
            continue
        row = check_row(record.fields, DEFAULT_HOLDOUT_PERCENT).row
        output = left.pop(row.id, row.output)
        if output != row.output:
            yield _Edit(record.line - 1, record.fields, output)


def _edited_json(line: str, edit: _Edit) -> str:
    body = line.lstrip("\ufeff").strip()
    start, _, end = line.partition(body)
    fields = json.loads(body)
    style = next((s for s in _JSON_STYLES if json.dumps(fields, **s) == body), _JSON_STYLES[0])
    if "messages" in fields and "output" not in fields:
        fields["messages"][-1]["content"] = edit.output
    else:
        fields["output"] = edit.output
    return f"{start}{json.dumps(fields, **style)}{end}"


def _edit_csv(new: list[str], old: list[str], edit: _Edit) -> None:
    """Replace the lines of one record, the first by the new record and the others by nothing."""
    header = next(csv.reader(io.StringIO(old[0].lstrip("\ufeff"), newline="")))
    reader = csv.reader(io.StringIO("".join(old[edit.first :]), newline=""))
    cells = next(reader)
    ending = "\r\n" if old[0].endswith("\r\n") else "\n"
    cells[[name.strip() for name in header].index("output")] = edit.output
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator=ending).writerow(cells)
    last = edit.first + reader.line_num
    text = stream.getvalue()
    is_end = last >= len(old) and not old[-1].endswith("\n")
    new[edit.first] = text.removesuffix(ending) if is_end else text
    for number in range(edit.first + 1, last):
        new[number] = ""


def _lines(text: str) -> list[str]:
    """Split at line feeds only: `str.splitlines` would split at U+2028, which JSON may hold."""
    parts = text.split("\n")
    lines = [f"{part}\n" for part in parts[:-1]]
    return [*lines, parts[-1]] if parts[-1] else lines
