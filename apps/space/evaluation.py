"""Reads the coverage report and the verdicts that are stored with the application or the model.

The names are those of the files. Fields that the page does not show are skipped.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any, TypeVar

REPORT_FILE = "coverage_report.json"
VERDICTS_FILE = "verdicts.jsonl"

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class Rate:
    """A coverage rate in percent with its 95 % interval, and how many responses it counts."""

    covered: int
    total: int
    rate_percent: float
    low_percent: float
    high_percent: float


@dataclasses.dataclass(frozen=True)
class VerdictRow:
    """A model's judged response to a coverage prompt, whose reference is `output`."""

    model: str
    id: str
    split: str
    tags: list[str]
    prompt: str
    output: str
    response: str
    sample: int
    covered: bool
    scored: bool
    reason: str


def turns_of(prompt: str) -> list[str]:
    """Return the texts of a coverage prompt's turns, the user's and the assistant's in turn.

    A conversation is the JSON of its messages; any other text is one message.
    """
    if prompt.startswith('[{"role": "user", "content": "'):
        try:
            return [str(message["content"]) for message in json.loads(prompt)]
        except (ValueError, KeyError, TypeError):
            pass
    return [prompt]


@dataclasses.dataclass(frozen=True)
class Gate:
    """The decision about the tuned model: the split that counts, and the rate to reach."""

    split: str
    threshold_percent: float
    passed: bool


@dataclasses.dataclass(frozen=True)
class LastLook:
    """The tuned model on the test prompts, which were judged once, after the loop."""

    rate: Rate
    threshold_percent: float
    reached: bool


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What is known about the model.

    Attributes:
        round: The round that trained it.
        gate: The decision.
        judge: Name of the judging model.
        stand_in: Whether a stand-in judged, so that the rates say nothing.
        tuned: Split to the tuned model's rate.
        base: The same for the base model; empty where it was not judged.
        tuned_tags: Tag to the tuned model's rate; a tag may be called like a split.
        base_tags: The same for the base model.
        rows: The tuned model's verdict on each coverage prompt.
        base_responses: The base model's response by the prompt's id.
        service_responses: The service LLM's; empty where it was not judged.
        last_look: The test prompts; None where none were judged.
    """

    round: int
    gate: Gate
    judge: str
    stand_in: bool
    tuned: dict[str, Rate]
    base: dict[str, Rate]
    tuned_tags: dict[str, Rate]
    base_tags: dict[str, Rate]
    rows: list[VerdictRow]
    base_responses: dict[str, str]
    service_responses: dict[str, str]
    last_look: LastLook | None = None


class EvaluationError(Exception):
    """The files of an evaluation cannot be read."""


def read_evaluation(folders: list[Path]) -> Evaluation | None:
    """Read the evaluation in the first folder that contains one; None where none does.

    Raises:
        EvaluationError: It is damaged, or of another version of Understudy.
    """
    for folder in folders:
        if (folder / REPORT_FILE).is_file():
            try:
                return _read(folder)
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                raise EvaluationError(
                    f"The evaluation in {folder} cannot be read by this application "
                    f"({type(error).__name__}: {error}). Serve the model with the version of "
                    "Understudy that evaluated it, or evaluate it again with this one."
                ) from error
    return None


def _read(folder: Path) -> Evaluation:
    report = json.loads((folder / REPORT_FILE).read_text(encoding="utf-8"))
    lines = (folder / VERDICTS_FILE).read_text(encoding="utf-8").split("\n")
    verdicts = [_pick(VerdictRow, json.loads(line)) for line in lines if line.strip()]
    return _evaluation(report, [row for row in verdicts if row.sample == 0])


def _evaluation(report: dict[str, Any], verdicts: list[VerdictRow]) -> Evaluation:
    tuned, base = report["models"]["tuned"], report["models"].get("base", {})
    return Evaluation(
        round=report["round"],
        gate=_pick(Gate, report["gate"]),
        judge=report["judge"]["model"],
        stand_in=report["stand_in"],
        tuned=_rates(tuned),
        base=_rates(base),
        tuned_tags=_tag_rates(tuned),
        base_tags=_tag_rates(base),
        rows=sorted(
            (row for row in verdicts if row.model == "tuned"), key=lambda row: (row.split, row.id)
        ),
        base_responses={row.id: row.response for row in verdicts if row.model == "base"},
        service_responses={row.id: row.response for row in verdicts if row.model == "service"},
        last_look=_last_look(report.get("last_look")),
    )


def _last_look(found: dict[str, Any] | None) -> LastLook | None:
    if not found:
        return None
    rate = _pick(Rate, found["models"]["tuned"])
    return LastLook(rate, found["threshold_percent"], found["reached"])


def _rates(model: dict[str, Any]) -> dict[str, Rate]:
    return {name: _pick(Rate, rate) for name, rate in model.items() if name != "tags"}


def _tag_rates(model: dict[str, Any]) -> dict[str, Rate]:
    return {name: _pick(Rate, rate) for name, rate in sorted(model.get("tags", {}).items())}


def _pick(kind: type[_T], values: dict[str, Any]) -> _T:
    return kind(**{field.name: values[field.name] for field in dataclasses.fields(kind)})  # type: ignore[arg-type]
