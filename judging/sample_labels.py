"""Samples judged responses for people to label: `python -m judging.sample_labels`.

The sample ignores the judge's verdict: picking by it would bias the judge's sensitivity and
specificity, which the correction rests on.
"""

import argparse
import random
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from core.errors import UserError
from core.jsonl import read_rows
from core.records import VerdictRow
from core.reports.coverage import BASE, TUNED
from judging.labels import read_labels, write_labels
from judging.requests import JudgedResponse

_EXIT_USER_ERROR = 2
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        text = write_labels(_drawn(arguments))
        _write_new(arguments.output, text)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return _EXIT_USER_ERROR
    print(  # noqa: T201
        f"Fill in the column human_covered of {arguments.output} with yes or no, "
        "then set evaluator.labels_uri to it."
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sample_labels", description=__doc__)
    parser.add_argument("verdicts", help="verdicts.jsonl of a CoverageReport, - for standard input")
    parser.add_argument("output", type=Path, help="CSV to write; it must not exist yet")
    parser.add_argument("--count", type=int, default=100, help="responses (default: 100)")
    parser.add_argument("--models", nargs="+", default=[TUNED, BASE], metavar="MODEL")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw (default: 0)")
    parser.add_argument("--labelled", type=Path, help="CSV whose responses are not drawn again")
    return parser


def _drawn(arguments: argparse.Namespace) -> list[JudgedResponse]:
    if arguments.verdicts == _STANDARD_INPUT:
        text = sys.stdin.read()
    else:
        text = _read(Path(arguments.verdicts))
    rows = read_rows(text, f"{arguments.verdicts} (a verdicts.jsonl)", VerdictRow.from_json)
    done = arguments.labelled
    labelled = read_labels(_read(done), str(done)) if done else []
    drawn = sample(
        (row for row in rows if row.model in arguments.models),
        arguments.count,
        seed=arguments.seed,
        without=[label.judged for label in labelled],
    )
    if not drawn:
        raise UserError(
            f"{arguments.verdicts} holds no unlabelled response of {', '.join(arguments.models)}. "
            "Choose other models with --models."
        )
    return drawn


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}.") from error


def _write_new(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8", newline="") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise UserError(
            f"{path} exists and may hold labels. Choose another name for the new file."
        ) from error
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error}.") from error


if __name__ == "__main__":
    sys.exit(main())
