"""Reads the coverage report and the verdicts that lie beside the application or the model."""

import dataclasses
import json
from pathlib import Path
from typing import Any

REPORT_FILE = "coverage_report.json"
VERDICTS_FILE = "verdicts.jsonl"


@dataclasses.dataclass(frozen=True)
class Rates:
    """How many prompts were covered.

    Attributes:
        covered: Covered prompts.
        total: All prompts.
        percent: The coverage rate, 0 to 100.
        low: Lower end of the 95 % interval in percent.
        high: Upper end of it.
    """

    covered: int
    total: int
    percent: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Answered:
    """A coverage prompt, the desired output and the tuned model's judged response.

    Attributes:
        id: The coverage prompt's id.
        prompt: What a user sends.
        output: The desired output.
        response: The tuned model's response at the evaluation.
        base_response: The base model's response; empty where it was not asked.
        covered: Whether the response was judged good enough.
        scored: False where the judge gave no readable verdict.
        split: `seed` prompts were shown to the generator of the training data, `holdout` not.
        tags: Labels of the prompt.
        reason: The judge's reason.
    """

    id: str
    prompt: str
    output: str
    response: str
    base_response: str
    covered: bool
    scored: bool
    split: str
    tags: tuple[str, ...]
    reason: str


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What is known about the model.

    Attributes:
        round: The round that trained it.
        gate_split: The split that decides, `holdout` or `seed`.
        threshold: The rate it had to reach, in percent.
        tuned: Name (`holdout`, `seed`, `overall`, or a tag) to the tuned model's rates.
        base: The same for the base model; empty where it was not asked.
        tags: The names in `tuned` that are tags.
        judge: Name of the judging model.
        is_stand_in: Whether a stand-in judged, so that the rates say nothing.
        rows: The coverage prompts.
    """

    round: int
    gate_split: str
    threshold: float
    tuned: dict[str, Rates]
    base: dict[str, Rates]
    tags: tuple[str, ...]
    judge: str
    is_stand_in: bool
    rows: tuple[Answered, ...]


def read_evaluation(folders: list[Path]) -> Evaluation | None:
    """The evaluation in the first folder that holds one, or None."""
    for folder in folders:
        if (folder / REPORT_FILE).is_file():
            report = json.loads((folder / REPORT_FILE).read_text(encoding="utf-8"))
            lines = (folder / VERDICTS_FILE).read_text(encoding="utf-8").splitlines()
            return _evaluation(report, [json.loads(line) for line in lines if line.strip()])
    return None


def _evaluation(report: dict[str, Any], verdicts: list[dict[str, Any]]) -> Evaluation:
    models = report["models"]
    return Evaluation(
        round=report["round"],
        gate_split=report["gate"]["split"],
        threshold=report["gate"]["threshold_percent"],
        tuned=_all_rates(models["tuned"]),
        base=_all_rates(models["base"]) if models.get("base") else {},
        tags=tuple(sorted(models["tuned"].get("tags", {}))),
        judge=report["judge"]["model"],
        is_stand_in=report["stand_in"],
        rows=tuple(_rows(verdicts)),
    )


def _all_rates(model: dict[str, Any]) -> dict[str, Rates]:
    splits = {name: model[name] for name in ("holdout", "seed", "overall") if name in model}
    return {name: _rates(value) for name, value in {**model.get("tags", {}), **splits}.items()}


def _rates(value: dict[str, Any]) -> Rates:
    return Rates(
        covered=value["covered"],
        total=value["total"],
        percent=value["rate_percent"],
        low=value["low_percent"],
        high=value["high_percent"],
    )


def _rows(verdicts: list[dict[str, Any]]) -> list[Answered]:
    first = [verdict for verdict in verdicts if verdict["sample"] == 0]
    base = {verdict["id"]: verdict["response"] for verdict in first if verdict["model"] == "base"}
    rows = [
        Answered(
            id=verdict["id"],
            prompt=verdict["prompt"],
            output=verdict["output"],
            response=verdict["response"],
            base_response=base.get(verdict["id"], ""),
            covered=bool(verdict["covered"]),
            scored=bool(verdict["scored"]),
            split=verdict["split"],
            tags=tuple(verdict["tags"]),
            reason=verdict.get("reason") or "",
        )
        for verdict in first
        if verdict["model"] == "tuned"
    ]
    return sorted(rows, key=lambda row: (row.split, row.id))
