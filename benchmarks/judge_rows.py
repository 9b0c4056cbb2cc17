"""How often a verdict changes when several rows are judged in one request.

Usage: python -m benchmarks.judge_rows --preset gemini [--rows 4] [--prompts 60]

Each coverage row of a preset is judged with a right and with a wrong response: alone, among other
rows, and among the same rows in the other order. Prints the share of verdicts that change, and the
characters that a verdict takes. Costs about six verdicts a prompt; needs the key of the preset's
judge, and with the stand-in shows that the script works.
"""

import argparse
import tempfile
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.evaluator_hygiene import originals
from judging.judge import judge
from judging.requests import JudgedResponse, RequestBuilder
from judging.settings import EvaluatorSettings
from judging.verdicts import Judgement
from pipeline.config import Config, load_config
from pipeline.local.standin_server import standin_if_wanted
from service_llm.client import open_service_llm
from service_llm.types import ServiceClient
from task.coverage.reader import read_coverage
from task.coverage.redaction import redacted_rows
from task.task import Task


class Changed(NamedTuple):
    """Verdicts that differ between two ways of asking, of those that were compared."""

    way: str
    changed: int
    compared: int
    scores_changed: int


def measure(
    responses: Sequence[JudgedResponse], llm: ServiceClient, task: Task, salt: bytes, rows: int
) -> list[Changed]:
    """Judge responses alone, among others, and among the same others in the other order.

    Args:
        responses: The responses.
        llm: The judge.
        task: What is taken over.
        salt: Of the keys of blocks.
        rows: Rows in a request.
    """
    alone = _judged(responses, llm, task, salt, 1)
    together = _judged(responses, llm, task, salt, rows)
    reversed_order = _judged(responses[::-1], llm, task, salt, rows)
    return [
        _compared("alone against among others", alone, together),
        _compared("among others, in one order and in the other", together, reversed_order),
    ]


def _judged(
    responses: Sequence[JudgedResponse], llm: ServiceClient, task: Task, salt: bytes, rows: int
) -> dict[JudgedResponse, Judgement]:
    # One vote, so that nothing but the neighbors differs: each response keeps its place.
    settings = EvaluatorSettings(votes=1, rows_per_request=rows)
    return judge(responses, llm, RequestBuilder(task, settings, salt), settings)


def _compared(
    way: str, one: dict[JudgedResponse, Judgement], other: dict[JudgedResponse, Judgement]
) -> Changed:
    pairs = [(one[judged], other[judged]) for judged in one]
    return Changed(
        way,
        sum(a.covered != b.covered for a, b in pairs),
        len(pairs),
        sum((a.similarity, a.correctness) != (b.similarity, b.correctness) for a, b in pairs),
    )


def characters(responses: Sequence[JudgedResponse], task: Task, rows: int) -> float:
    """Return the characters of prompts for a verdict."""
    settings = EvaluatorSettings(votes=1, rows_per_request=rows)
    sent = RequestBuilder(task, settings, b"").votes(responses)
    return sum(len(one.request.prompt) for one in sent) / len(responses)


def main() -> None:
    """Ask a preset's judge and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="offline")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    parser.add_argument("--rows", type=int, default=4, help="rows in a request (default: 4)")
    parser.add_argument("--prompts", type=int, default=60, help="coverage rows (default: 60)")
    arguments = parser.parse_args()
    config = load_config(arguments.preset, arguments.overrides)
    with standin_if_wanted(config):
        _print(config, arguments.prompts, arguments.rows)


def _print(config: Config, prompts: int, rows: int) -> None:
    coverage = redacted_rows(read_coverage(config.coverage_dir), config.privacy)[:prompts]
    right, wrong = originals(coverage)
    # A right and a wrong response take turns.
    mixed = [judged for pair in zip(right, wrong, strict=False) for judged in pair]
    with (
        tempfile.TemporaryDirectory() as journal,
        open_service_llm(
            config.judge_llm, journal_uri=journal, component="judge_rows", round=1
        ) as llm,
    ):
        found = measure(mixed, llm, config.task, llm.salt(), rows)
    print(f"{config.judge_llm.model}: {len(mixed)} responses, {rows} in a request.\n")
    print("| compared | verdicts changed | scores changed | of |\n|---|---|---|---|")
    for change in found:
        print(f"| {change.way} | {change.changed} | {change.scores_changed} | {change.compared} |")
    one, several = (characters(mixed, config.task, size) for size in (1, rows))
    print(f"\nCharacters of prompts for a verdict: {one:.0f} alone, {several:.0f} among others.")


if __name__ == "__main__":
    main()
