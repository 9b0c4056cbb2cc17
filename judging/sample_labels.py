"""Samples judged responses for people to label in a spreadsheet.

The sample ignores the judge's verdict: picking by it would bias the judge's sensitivity and
specificity, which the correction rests on.
"""

import random
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from core.errors import UserError
from core.jsonl import read_rows
from core.records import VerdictRow
from judging.labels import read_labels, write_labels
from judging.requests import JudgedResponse

_STANDARD_INPUT = "-"


def sample(
    rows: Iterable[VerdictRow], count: int, *, seed: int = 0, without: Iterable[JudgedResponse] = ()
) -> list[JudgedResponse]:
    """Draw responses at random, each different one once.

    Args:
        rows: Verdict rows, of all models that are to be labelled.
        count: Responses to draw; all of them where there are fewer.
        seed: Seed of the draw.
        without: Responses that are labelled already.
    """
    found = {JudgedResponse.of(row) for row in rows if row.scored}
    left = sorted(found - set(without))
    return random.Random(seed).sample(left, min(count, len(left)))


def draw_unlabelled(
    verdicts: str, models: Sequence[str], count: int, *, seed: int = 0, labelled: Path | None = None
) -> list[JudgedResponse]:
    """Draw from a file of verdicts what is not labelled yet; see `sample`.

    Args:
        verdicts: Path of a `verdicts.jsonl`; `-` for standard input.
        models: Whose responses are drawn.
        count: Responses to draw.
        seed: Seed of the draw.
        labelled: CSV with labels whose responses are not drawn again.

    Raises:
        UserError: A file cannot be used, or nothing is left to draw.
    """
    text = sys.stdin.read() if verdicts == _STANDARD_INPUT else _read(Path(verdicts))
    rows = read_rows(text, f"{verdicts} (a verdicts.jsonl)", VerdictRow.from_json)
    done = read_labels(_read(labelled), str(labelled)) if labelled else []
    drawn = sample(
        (row for row in rows if row.model in models),
        count,
        seed=seed,
        without=[label.judged for label in done],
    )
    if not drawn:
        raise UserError(
            f"{verdicts} has no unlabelled responses of {', '.join(models)}. Choose other models "
            "with --models."
        )
    return drawn


def write_sheet(path: Path, drawn: Sequence[JudgedResponse]) -> None:
    """Write responses as a CSV for people to label.

    Raises:
        UserError: The file exists, or cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8", newline="") as stream:
            stream.write(write_labels(drawn))
    except FileExistsError as error:
        raise UserError(
            f"{path} exists and may contain labels. Choose another name for the new file."
        ) from error
    except OSError as error:
        raise UserError(f"{path} could not be written: {error}.") from error


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} could not be read: {error}.") from error
