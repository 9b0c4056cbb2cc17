"""Rows of a round that a person may look at, edit, delete and add, as lines of JSON."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from components.synth_data_gen.rows import prompt_digest, split_rows
from core.conversation import chat_messages
from core.errors import UserError
from core.records import CoverageRow
from core.reports.synthesis import EditedRows
from core.synthetic_records import PERSON, SYNTHETIC_SPLITS, Provenance, SyntheticRow
from task.coverage.redaction import redacted_row
from task.privacy import PrivacySettings

_FIELDS = ("prompt", "output")
_LISTED = 20  # problems written out

Splits = Mapping[str, Sequence[SyntheticRow]]


class Edited(NamedTuple):
    """The rows of a round after a person has edited them.

    Attributes:
        splits: Rows by split.
        counts: What the person did.
    """

    splits: dict[str, list[SyntheticRow]]
    counts: EditedRows


class _Line(NamedTuple):
    number: int
    id: str
    prompt: str
    output: str


def editable_lines(splits: Splits, round: int) -> list[str]:
    """Write the rows of a round, one JSON object each, with what helps to judge them.

    Args:
        splits: The rows of all rounds by split.
        round: The round, from 1.
    """
    return [
        json.dumps(
            {
                "id": row.id,
                "prompt": row.prompt,
                "output": row.output,
                "split": split,
                "source": row.origin.source,
                "attributes": dict(row.origin.attributes),
                "scores": dict(row.origin.scores),
            },
            ensure_ascii=False,
        )
        for split in SYNTHETIC_SPLITS
        for row in splits.get(split, ())
        if row.round == round
    ]


def apply_edits(
    splits: Splits,
    history: Splits,
    text: str,
    *,
    source: str,
    round: int,
    eval_fraction: float,
    leak: Callable[[str], str | None],
    privacy: PrivacySettings,
) -> Edited:
    """Take a person's edits: `id`, `prompt` and `output` of each line count.

    Args:
        splits: The rows of the round by split, as they were before.
        history: The rows of earlier rounds by split.
        text: The edited lines. A line without `id` is a new row, a row without a line is deleted.
        source: The path of the lines, for messages.
        round: The round, from 1.
        eval_fraction: Share of new rows for the split `eval`.
        leak: Returns the id of the coverage row that a prompt repeats; None for none.
        privacy: Whether personal data in rows that a person changed or added is replaced.

    Raises:
        UserError: A line cannot be used, or too few rows are left; all problems are listed.
    """
    before = {row.id: row for rows in splits.values() for row in rows}
    problems: list[str] = []
    lines = [_redacted(line, before, privacy) for line in _read(text, problems)]
    problems += _problems(lines, before, history, leak)
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems[:_LISTED])
        raise UserError(f"The edited rows {source!r} cannot be used; fix them:\n{listed}")
    changed = {line.id: line for line in lines if line.id}
    kept = {
        split: [_edited(row, changed[row.id]) for row in rows if row.id in changed]
        for split, rows in splits.items()
    }
    added = [_added(line, round) for line in lines if not line.id]
    together = {
        split: [*history.get(split, ()), *kept.get(split, ())] for split in SYNTHETIC_SPLITS
    }
    merged = split_rows(together, added, eval_fraction) if added else together
    if empty := [split for split in SYNTHETIC_SPLITS if not merged[split]]:
        raise UserError(
            f"The edited rows {source!r} leave the split {empty[0]!r} without a row. Keep at least "
            "one row of each split, or add some."
        )
    result = {split: rows[len(history.get(split, ())) :] for split, rows in merged.items()}
    edited = sum(before[row.id] != row for rows in kept.values() for row in rows)
    counts = EditedRows(edited=edited, deleted=len(before) - len(changed), added=len(added))
    return Edited(result, counts)


def _read(text: str, problems: list[str]) -> list[_Line]:
    lines = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except ValueError as error:
            problems.append(f"line {number}: not JSON: {error}")
            continue
        texts = [fields.get(name) if isinstance(fields, dict) else None for name in _FIELDS]
        row_id = fields.get("id") or "" if isinstance(fields, dict) else ""
        if not all(isinstance(value, str) and value.strip() for value in texts):
            problems.append(f"line {number}: not an object with the texts prompt and output")
        else:
            lines.append(_Line(number, str(row_id), str(texts[0]), str(texts[1])))
            if not all(turn["content"].strip() for turn in chat_messages(lines[-1].prompt)):
                problems.append(f"line {number}: a message of the prompt has no text")
                lines.pop()
    return lines


def _redacted(line: _Line, before: Mapping[str, SyntheticRow], privacy: PrivacySettings) -> _Line:
    """Replace personal data that a person wrote; a line that nobody changed stays as it is."""
    row = before.get(line.id)
    if row is not None and (row.prompt, row.output) == (line.prompt, line.output):
        return line
    redacted = redacted_row(CoverageRow(line.id, line.prompt, line.output, "", ()), privacy)
    return line._replace(prompt=redacted.prompt, output=redacted.output)


def _problems(
    lines: Sequence[_Line],
    before: Mapping[str, SyntheticRow],
    history: Splits,
    leak: Callable[[str], str | None],
) -> list[str]:
    problems = []
    prompts = {prompt_digest(row.prompt): row.id for rows in history.values() for row in rows}
    seen: set[str] = set()
    for line in lines:
        where = f"line {line.number}"
        if line.id and line.id not in before:
            problems.append(
                f"{where}: no row of the round has the id {line.id!r}; leave the id out in a row "
                "that you add"
            )
        if line.id and line.id in seen:
            problems.append(f"{where}: the id {line.id!r} appears twice")
        seen.add(line.id)
        digest = prompt_digest(line.prompt)
        if digest in prompts:
            problems.append(f"{where}: the same prompt as {prompts[digest]}")
        prompts[digest] = line.id or where
        old = before.get(line.id)
        is_new = old is None or old.prompt != line.prompt
        if is_new and (near := leak(line.prompt)) is not None:
            problems.append(
                f"{where}: the prompt repeats the coverage row {near!r}; the coverage rate would "
                "mean nothing"
            )
    return problems


def _edited(row: SyntheticRow, line: _Line) -> SyntheticRow:
    if (row.prompt, row.output) == (line.prompt, line.output):
        return row
    origin = row.origin.model_copy(update={"edited_by_person": True})
    return SyntheticRow(row.id, line.prompt, line.output, origin.to_json(), row.round)


def _added(line: _Line, round: int) -> SyntheticRow:
    provenance = Provenance(source=PERSON, round=round)
    row_id = f"per-{round:03d}-{prompt_digest(line.prompt)}"
    return SyntheticRow(row_id, line.prompt, line.output, provenance.to_json(), round)
