"""Edited references as a unified diff of the coverage files, which a person applies."""

import csv
import difflib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from core.errors import UserError
from core.records import CoverageRow
from labelling.originals import RowAnswers
from task.coverage.parsing import parse_csv, parse_jsonl
from task.coverage.problems import BadRowError
from task.coverage.reader import LOGGED_FILE
from task.coverage.rows import check_row
from task.coverage.split_file import SPLITS_FILE
from task.privacy import PrivacySettings
from task.splits import DEFAULT_HOLDOUT_PERCENT, normalized

_PARSERS = {".jsonl": parse_jsonl, ".csv": parse_csv}
# How JSON lines are written: the first of these that reproduces a line is the line's own.
_JSON_STYLES: tuple[dict[str, Any], ...] = (
    {"ensure_ascii": False},
    {"ensure_ascii": True},
    {"ensure_ascii": False, "separators": (",", ":")},
    {"ensure_ascii": True, "separators": (",", ":")},
)


class Replacement(NamedTuple):
    """One right answer of a coverage row, and the one that takes its place."""

    before: str
    now: str


class _Located(NamedTuple):
    """A record of a coverage file that can be read; lines are counted from 0."""

    path: Path
    first: int
    fields: dict[str, Any]
    row: CoverageRow

    @property
    def answers(self) -> tuple[str, ...]:
        return (self.row.output, *self.row.references)


class _Edit(NamedTuple):
    """A record and its right answers from now on, the output first."""

    record: _Located
    answers: Sequence[str]


def coverage_diff(
    folder: Path,
    replacements: Mapping[str, Replacement],
    privacy: PrivacySettings,
) -> str:
    """Write the diff that replaces right answers in a coverage dataset.

    `patch -p1 -d FOLDER < FILE` applies it. Only the lines of the edited rows change. A row's other
    right answers stay, in its own record and in those that repeat its prompt.

    Args:
        folder: The coverage dataset, in JSONL and CSV files.
        replacements: By the row's id, the new answer as `restored_reference` returns it. Ids that
            the dataset does not hold are left out.
        privacy: Whether the run redacts, and so the answer to replace is shown without values.

    Raises:
        UserError: A row with several right answers holds neither the one to replace nor the new.
    """
    paths = _paths(folder)
    rows = _rows(paths)
    edits = [
        edit
        for row_id, replacement in replacements.items()
        if row_id in rows
        for edit in _edits(row_id, rows[row_id], replacement, privacy)
    ]
    return "".join(_diff(path, [e for e in edits if e.record.path == path]) for path in paths)


def restored_reference(
    folder: Path, row_id: str, replacement: Replacement, privacy: PrivacySettings
) -> str:
    """Return a new reference with what its placeholders stand for in the coverage files.

    Args:
        folder: The coverage dataset.
        row_id: The row's id.
        replacement: The answer that a run shows, and the new reference.
        privacy: Whether the run redacts.

    Raises:
        UserError: A placeholder stands for nothing in the row.
    """
    records = _rows(_paths(folder)).get(row_id)
    before, text = replacement
    return _answers(records, privacy).restored(row_id, text, before) if records else text


def _paths(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix in _PARSERS
        and not path.name.startswith(".")
        and path.name not in (SPLITS_FILE, LOGGED_FILE)
    ]


def _rows(paths: Sequence[Path]) -> dict[str, list[_Located]]:
    """Return by each row's id the records of its prompt, its own first, as they are merged."""
    by_prompt: dict[str, list[_Located]] = {}
    prompts: dict[str, str] = {}
    for path in paths:
        for record in _records(path):
            prompt = normalized(record.row.prompt)
            by_prompt.setdefault(prompt, []).append(record)
            prompts.setdefault(record.row.id, prompt)
    return {
        row_id: sorted(by_prompt[prompt], key=lambda record: record.row.id != row_id)
        for row_id, prompt in prompts.items()
    }


def _answers(records: Sequence[_Located], privacy: PrivacySettings) -> RowAnswers:
    answers = [answer for record in records for answer in record.answers]
    return RowAnswers.of(records[0].row.prompt, answers, privacy)


def _records(path: Path) -> Iterator[_Located]:
    for record in _PARSERS[path.suffix](path.read_bytes()):
        if not isinstance(record.fields, BadRowError):
            row = check_row(record.fields, DEFAULT_HOLDOUT_PERCENT).row
            yield _Located(path, record.line - 1, record.fields, row)


def _edits(
    row_id: str, records: Sequence[_Located], replacement: Replacement, privacy: PrivacySettings
) -> Iterator[_Edit]:
    """Yield what changes in the records of one prompt."""
    if replacement.before == replacement.now:
        return
    answers = _answers(records, privacy)
    now = replacement.now
    replaced = answers.shown_as(replacement.before)
    if replaced == {now} or (not replaced and now in answers.known):
        return
    if not replaced and len(answers.known) == 1:  # the run redacted by other settings
        replaced = set(answers.known)
    if not replaced:
        raise UserError(
            f"Row {row_id!r} has {len(answers.known)} right answers in the coverage dataset, and "
            f"{replacement.before[:80]!r} is none of them, so it cannot be replaced. Edit the row "
            "by hand, or keep the reference."
        )
    for record in records:
        if replaced.intersection(record.answers):
            changed = (now if answer in replaced else answer for answer in record.answers)
            yield _Edit(record, list(dict.fromkeys(changed)))


def _diff(path: Path, edits: Sequence[_Edit]) -> str:
    old = _lines(path.read_bytes().decode("utf-8"))
    new = list(old)
    for edit in edits:
        first = edit.record.first
        if path.suffix == ".csv":
            _edit_csv(new, old, first, edit.answers[0])
        else:
            new[first] = _edited_json(old[first], edit.answers)
    after = _lines("".join(new))
    lines = difflib.unified_diff(old, after, f"a/{path.name}", f"b/{path.name}")
    return "".join(line if line.endswith("\n") else f"{line}\n{_NO_NEWLINE}" for line in lines)


_NO_NEWLINE = "\\ No newline at end of file\n"


def _edited_json(line: str, answers: Sequence[str]) -> str:
    body = line.lstrip("\ufeff").strip()
    start, _, end = line.partition(body)
    fields = json.loads(body)
    style = next((s for s in _JSON_STYLES if json.dumps(fields, **s) == body), _JSON_STYLES[0])
    if "messages" in fields and "output" not in fields:
        fields["messages"][-1]["content"] = answers[0]
    else:
        fields["output"] = answers[0]
    if fields.get("references"):
        fields["references"] = list(answers[1:])
    return f"{start}{json.dumps(fields, **style)}{end}"


def _edit_csv(new: list[str], old: list[str], first: int, output: str) -> None:
    """Replace the lines of one record, the first by the new record and the others by nothing."""
    header = next(csv.reader(io.StringIO(old[0].lstrip("\ufeff"), newline="")))
    reader = csv.reader(io.StringIO("".join(old[first:]), newline=""))
    cells = next(reader)
    ending = "\r\n" if old[0].endswith("\r\n") else "\n"
    cells[[name.strip() for name in header].index("output")] = output
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator=ending).writerow(cells)
    last = first + reader.line_num
    text = stream.getvalue()
    is_end = last >= len(old) and not old[-1].endswith("\n")
    new[first] = text.removesuffix(ending) if is_end else text
    for number in range(first + 1, last):
        new[number] = ""


def _lines(text: str) -> list[str]:
    """Split at line feeds only: `str.splitlines` would split at U+2028, which JSON may hold."""
    parts = text.split("\n")
    lines = [f"{part}\n" for part in parts[:-1]]
    return [*lines, parts[-1]] if parts[-1] else lines
