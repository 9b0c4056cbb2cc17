"""Where a run stops for a person: after the rows of a round, and before a push.

A pause ends the process. The next run finds what it waited with, and continues.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pydantic

from core.whole_file import replace_file
from pipeline.edits import Edits

_ROWS = "rows.jsonl"
_STATE = "paused.json"


class PausedError(Exception):
    """The run has stopped for a person; the message says what to do next."""


class _Paused(pydantic.BaseModel, frozen=True):
    """What a pause waits with: the URI of the rows, or of the model."""

    uri: str


def reviewed_rows(folder: Path, synthetic_uri: str) -> Edits | None:
    """Return the rows that a person has looked at; None where the run has not paused with them yet.

    Args:
        folder: The round's folder of rows for review.
        synthetic_uri: The round's rows. Others than those the run paused with are other rows: with
            changed settings it pauses again.
    """
    rows = folder / _ROWS
    if _waiting(folder / _STATE) != synthetic_uri or not rows.exists():
        return None
    version = hashlib.sha256(rows.read_bytes()).hexdigest()[:16]
    return Edits(synthetic_uri, str(rows), version)


def pause_for_review(folder: Path, synthetic_uri: str, lines: Sequence[str]) -> PausedError:
    """Write the rows of a round for a person; rows of an earlier pause are moved aside.

    Args:
        folder: The round's folder of rows for review.
        synthetic_uri: The round's rows.
        lines: One JSON object for each row.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = folder / _ROWS
    aside = ""
    if rows.exists():
        number = sum(1 for _ in folder.glob(f"{_ROWS}.*")) + 1
        rows.rename(folder / f"{_ROWS}.{number}")
        aside = f" The rows of an earlier pause are in {folder / f'{_ROWS}.{number}'}."
    replace_file(rows, "".join(f"{line}\n" for line in lines))
    replace_file(folder / _STATE, _Paused(uri=synthetic_uri).model_dump_json())
    return PausedError(
        f"Paused before training (rounds.pause_after): {len(lines)} new rows are in {rows}."
        f"{aside} Edit prompt and output, delete lines, or add lines with prompt and output; "
        f"{synthetic_uri}/index.html shows the whole round. Then run the same command again: it "
        "continues with these rows, and pays for nothing twice."
    )


def is_approved(file: Path, model_uri: str) -> bool:
    """Whether the run has already paused before the push of this model."""
    return _waiting(file) == model_uri


def pause_for_approval(
    file: Path, *, model_uri: str, exports_uri: str, report_uri: str
) -> PausedError:
    """Note that a blessed model waits for a person.

    Args:
        file: The round's file of the pause.
        model_uri: The model.
        exports_uri: Its exports.
        report_uri: Its CoverageReport.
    """
    replace_file(file, _Paused(uri=model_uri).model_dump_json())
    return PausedError(
        "Paused before the push (push.approve): the model is blessed. Look at "
        f"{report_uri}/evaluation.html and the exports in {exports_uri}. To push, run the same "
        "command again; if it must not be pushed, do not."
    )


class PausedRows(NamedTuple):
    """The rows that a round paused with."""

    round: int
    uri: str


def paused_rows(folder: Path) -> PausedRows | None:
    """Return the rows that the last round paused with; None where none did.

    Args:
        folder: The folder of all rounds' rows for review.
    """
    rounds = [int(path.parent.name.removeprefix("round-")) for path in folder.glob(f"*/{_STATE}")]
    uri = _waiting(folder / f"round-{max(rounds)}" / _STATE) if rounds else None
    return PausedRows(max(rounds), uri) if uri else None


def _waiting(state: Path) -> str | None:
    try:
        return _Paused.model_validate(json.loads(state.read_text(encoding="utf-8"))).uri
    except (OSError, ValueError):
        return None
