"""Rows of the same prompt: one row with several right answers, unless their splits differ."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from task.coverage.problems import Problem
from task.coverage.rows import CheckedRow
from task.splits import normalized


class Located(NamedTuple):
    """A valid row, and where it was read."""

    file: str
    line: int
    checked: CheckedRow

    @property
    def place(self) -> str:
        """File and line."""
        return f"{self.file}:{self.line}"

    def problem(self, reason: str) -> Problem:
        """Return the problem with this row."""
        return Problem(self.file, self.line, reason)


def merge_same_prompts(
    located: Sequence[Located], persisted: Mapping[str, str]
) -> tuple[list[Located], list[Problem]]:
    """Merge the rows of each prompt into one that has every answer and every tag.

    The first row counts, or the one that was assigned a split before, so that a row added later
    never moves a prompt to another split. The answers of the others become its references.

    Args:
        located: Valid rows, in order.
        persisted: Splits by id, as they were assigned before.

    Returns:
        A row for each prompt, at the place of its first one, and a problem for each row that is in
        another split than a row of the same prompt.
    """
    groups: dict[str, list[Located]] = {}
    for item in located:
        groups.setdefault(normalized(item.checked.row.prompt), []).append(item)
    merged: list[Located] = []
    problems: list[Problem] = []
    for group in groups.values():
        problems += _overlaps(group, persisted)
        merged.append(_merged(group, persisted) if len(group) > 1 else group[0])
    return merged, problems


def _split(item: Located, persisted: Mapping[str, str]) -> str | None:
    """Return the split that a row names or was assigned; None where it may be in any."""
    row = item.checked.row
    return row.split if item.checked.has_split else persisted.get(row.id)


def _overlaps(group: Sequence[Located], persisted: Mapping[str, str]) -> list[Problem]:
    first: Located | None = None
    problems = []
    for item in group:
        split = _split(item, persisted)
        if split is None:
            continue
        first = first or item
        other = _split(first, persisted)
        if split != other:
            problems.append(
                item.problem(
                    f"the same prompt as at {first.place}, but in {split} instead of {other}: a"
                    " holdout prompt must not be shown as a seed"
                )
            )
    return problems


def _merged(group: Sequence[Located], persisted: Mapping[str, str]) -> Located:
    main = next((item for item in group if item.checked.row.id in persisted), group[0])
    rows = [item.checked.row for item in (main, *(item for item in group if item is not main))]
    answers = dict.fromkeys(answer for row in rows for answer in (row.output, *row.references))
    named = next((item.checked.row.split for item in group if item.checked.has_split), None)
    row = dataclasses.replace(
        rows[0],
        split=named or rows[0].split,
        tags=tuple(dict.fromkeys(tag for row in rows for tag in row.tags)),
        references=tuple(answer for answer in answers if answer != rows[0].output),
    )
    return main._replace(checked=main.checked._replace(row=row, has_split=named is not None))
