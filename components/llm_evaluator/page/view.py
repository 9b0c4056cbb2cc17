"""Arranges an evaluation and its verdicts as the templates need them."""

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Self

from components.llm_evaluator.page import wording
from components.llm_evaluator.report import BASE, OVERALL, SERVICE, TUNED
from components.llm_evaluator.verdicts import VerdictRow
from components.records import HOLDOUT_SPLIT, SEED_SPLIT

PARTS = (HOLDOUT_SPLIT, SEED_SPLIT, OVERALL)
_WORST_FIRST = ("not covered", "unscored", "covered")

Rate = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Answer:
    """A model's answer with its verdict: `covered`, `not covered` or `unscored`."""

    model: str
    verdict: str
    row: VerdictRow

    @classmethod
    def of(cls, row: VerdictRow) -> Self:
        """The answer in a verdict row."""
        verdict = "covered" if row.covered else "not covered" if row.scored else "unscored"
        return cls(wording.MODEL_NAMES.get(row.model, row.model), verdict, row)


@dataclasses.dataclass(frozen=True)
class Entry:
    """A coverage prompt with the answers to it.

    Attributes:
        tuned: The tuned model's answer.
        answers: Every model's answer, the tuned model's first.
        changed: `gained` or `lost` since the round before, or empty.
    """

    tuned: Answer
    answers: tuple[Answer, ...]
    changed: str


@dataclasses.dataclass(frozen=True)
class ModelLine:
    """A line of the models' table: the rates in the order of `PARTS`."""

    name: str
    rates: tuple[Rate, ...]
    comparison: str
    relative: str


@dataclasses.dataclass(frozen=True)
class ScorerLine:
    """A free scorer beside the judge: its rates of the tuned model in the order of `PARTS`."""

    name: str
    threshold: float
    rates: tuple[Rate, ...]
    agreement: str
    only_judge: int
    only_scorer: int


@dataclasses.dataclass(frozen=True)
class Calibration:
    """The judge beside people; the corrected rates in the order of `PARTS`, None where unknown."""

    labels: int
    agreement: str
    sensitivity: float | None
    specificity: float | None
    corrected: tuple[tuple[str, tuple[Rate | None, ...]], ...]


@dataclasses.dataclass(frozen=True)
class EvaluationView:
    """What the templates show besides the report itself."""

    parts: tuple[str, ...]
    models: tuple[ModelLine, ...]
    base: Mapping[str, Any] | None
    relative: Mapping[str, Any] | None
    since: str
    tags: tuple[tuple[str, Rate, Rate | None], ...]
    scorers: tuple[ScorerLine, ...]
    calibration: Calibration | None
    entries: tuple[Entry, ...]
    splits: tuple[str, ...]


def make_view(report: Mapping[str, Any], verdicts: Sequence[VerdictRow]) -> EvaluationView:
    """Arrange everything.

    Args:
        report: A `coverage_report.json`.
        verdicts: Its verdict rows, of all models.
    """
    models, split = report["models"], report["gate"]["split"]
    service = report["baselines"].get(SERVICE)
    return EvaluationView(
        parts=PARTS,
        models=tuple(_model_line(model, report) for model in models),
        base=models.get(BASE),
        relative=service[split]["relative"] if service else None,
        since=wording.since(report["change"], split),
        tags=_tags(models),
        scorers=tuple(_scorer_line(*item) for item in report["scorers"].items()),
        calibration=_calibration(report["calibration"]),
        entries=_entries(verdicts, report["change"]),
        splits=tuple(sorted({row.split for row in verdicts})),
    )


def _model_line(model: str, report: Mapping[str, Any]) -> ModelLine:
    paired = report["baselines"].get(model, {}).get(report["gate"]["split"])
    return ModelLine(
        name=wording.MODEL_NAMES.get(model, model),
        rates=tuple(report["models"][model][part] for part in PARTS),
        comparison=wording.comparison(paired["change"]) if paired else "",
        relative=wording.relative(paired["relative"]) if paired and "relative" in paired else "",
    )


def _scorer_line(name: str, section: Mapping[str, Any]) -> ScorerLine:
    found = section["agreement"]
    return ScorerLine(
        name=wording.scorer_name(name),
        threshold=section["threshold"],
        rates=tuple(section["models"][TUNED][part] for part in PARTS),
        agreement=wording.agreement(found),
        only_judge=found["only_first"],
        only_scorer=found["only_second"],
    )


def _calibration(section: Mapping[str, Any] | None) -> Calibration | None:
    if section is None:
        return None
    return Calibration(
        labels=section["labels"],
        agreement=wording.agreement(section["agreement"]),
        sensitivity=section["sensitivity_percent"],
        specificity=section["specificity_percent"],
        corrected=tuple(
            (wording.MODEL_NAMES.get(model, model), tuple(rates[part] for part in PARTS))
            for model, rates in section["corrected"].items()
        ),
    )


def _tags(models: Mapping[str, Any]) -> tuple[tuple[str, Rate, Rate | None], ...]:
    """Tag, the tuned model's rate and the untuned one's; the most frequent tags first."""
    base = models.get(BASE, {}).get("tags", {})
    ordered = sorted(models[TUNED]["tags"].items(), key=lambda item: (-item[1]["total"], item[0]))
    return tuple((tag, rate, base.get(tag)) for tag, rate in ordered)


def _entries(verdicts: Sequence[VerdictRow], change: Mapping[str, Any] | None) -> tuple[Entry, ...]:
    """One for each answer of the tuned model; what needs a look comes first."""
    others: dict[str, list[VerdictRow]] = defaultdict(list)
    for row in verdicts:
        if row.model != TUNED:
            others[row.id].append(row)
    moved = change[OVERALL] if change else {"gained_ids": (), "lost_ids": ()}
    changed = dict.fromkeys(moved["gained_ids"], "gained") | dict.fromkeys(
        moved["lost_ids"], "lost"
    )
    entries = [
        Entry(
            Answer.of(row),
            tuple(map(Answer.of, (row, *_matching(others[row.id], row.sample)))),
            changed.get(row.id, ""),
        )
        for row in verdicts
        if row.model == TUNED
    ]
    return tuple(
        sorted(entries, key=lambda e: (_WORST_FIRST.index(e.tuned.verdict), e.tuned.row.id))
    )


def _matching(rows: Sequence[VerdictRow], sample: int) -> list[VerdictRow]:
    """Each baseline's answer of that sample, or its only one."""
    by_model: dict[str, VerdictRow] = {}
    for row in rows:
        if row.model not in by_model or row.sample == sample:
            by_model[row.model] = row
    return list(by_model.values())
