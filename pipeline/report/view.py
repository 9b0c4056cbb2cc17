"""Arranges a summary and its verdicts as the report's template needs them."""

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from components.llm_evaluator.verdicts import VerdictRow
from pipeline.report.chart import Chart, make_chart
from pipeline.report.loss_chart import LossChart, make_loss_charts
from pipeline.report.wording import MODEL_NAMES, caveat, comparison, headline, stop_sentence

_TUNED = "tuned"
_PARTS = ("holdout", "seed", "overall")


@dataclasses.dataclass(frozen=True)
class Answer:
    """A model's answer with its verdict: `covered`, `not covered` or `unscored`."""

    model: str
    verdict: str
    row: VerdictRow

    @classmethod
    def of(cls, row: VerdictRow) -> "Answer":
        """The answer in a verdict row."""
        verdict = "covered" if row.covered else "not covered" if row.scored else "unscored"
        return cls(MODEL_NAMES.get(row.model, row.model), verdict, row)


@dataclasses.dataclass(frozen=True)
class Entry:
    """A coverage prompt with the tuned model's answer and those of the baselines."""

    tuned: Answer
    others: tuple[Answer, ...]


@dataclasses.dataclass(frozen=True)
class ModelLine:
    """A line of the models' table: the rates in the order of `View.parts`."""

    name: str
    rates: tuple[Mapping[str, Any], ...]
    comparison: str


@dataclasses.dataclass(frozen=True)
class View:
    """What the template shows besides the summary itself."""

    headline: str
    caveat: str | None
    stop_sentence: str
    best: Mapping[str, Any]
    chart: Chart
    parts: tuple[str, ...]
    models: tuple[ModelLine, ...]
    tags: tuple[tuple[str, Mapping[str, Any], Mapping[str, Any] | None], ...]
    entries: tuple[Entry, ...]
    splits: tuple[str, ...]
    drop_reasons: tuple[str, ...]
    losses: tuple[LossChart, ...]
    nodes: tuple[str, ...]
    seconds: Mapping[tuple[int, str], Mapping[str, Any]]


def make_view(summary: Mapping[str, Any], verdicts: Sequence[VerdictRow]) -> View:
    """Arrange everything.

    Args:
        summary: What `make_summary` returns.
        verdicts: All models' verdict rows of the best round.
    """
    rounds = summary["rounds"]
    best = next(entry for entry in rounds if entry["round"] == summary["best_round"])
    names = {model: MODEL_NAMES.get(model, model) for model in best["rates"]}
    return View(
        headline=headline(best),
        caveat=caveat(best),
        stop_sentence=stop_sentence(summary["stop_reason"]),
        best=best,
        chart=make_chart(rounds, best, names),
        parts=_PARTS,
        models=tuple(_model_line(model, name, best) for model, name in names.items()),
        tags=_tags(best["rates"]),
        entries=_entries(verdicts),
        splits=tuple(sorted({row.split for row in verdicts})),
        drop_reasons=tuple(sorted({r for entry in rounds for r in entry["data"]["dropped"] or ()})),
        losses=make_loss_charts(rounds),
        nodes=tuple(dict.fromkeys(c["node"] for entry in rounds for c in entry["components"])),
        seconds={(e["round"], c["node"]): c for e in rounds for c in e["components"]},
    )


def _model_line(model: str, name: str, best: Mapping[str, Any]) -> ModelLine:
    rates = tuple(best["rates"][model][part] for part in _PARTS)
    paired = best["baselines"].get(model, {}).get(best["gate"]["split"])
    return ModelLine(name, rates, comparison(paired["change"]) if paired else "")


def _tags(
    rates: Mapping[str, Any],
) -> tuple[tuple[str, Mapping[str, Any], Mapping[str, Any] | None], ...]:
    """Tag, the tuned model's rate and the untuned one's; the most frequent tags first."""
    base = rates.get("base", {}).get("tags", {})
    tags = rates[_TUNED].get("tags", {})
    ordered = sorted(tags.items(), key=lambda item: (-item[1]["total"], item[0]))
    return tuple((tag, rate, base.get(tag)) for tag, rate in ordered)


def _entries(verdicts: Sequence[VerdictRow]) -> tuple[Entry, ...]:
    """One for each answer of the tuned model; what needs a look comes first."""
    others: dict[str, list[VerdictRow]] = defaultdict(list)
    for row in verdicts:
        if row.model != _TUNED:
            others[row.id].append(row)
    entries = [
        Entry(Answer.of(row), tuple(Answer.of(o) for o in _matching(others[row.id], row.sample)))
        for row in verdicts
        if row.model == _TUNED
    ]
    order = ("not covered", "unscored", "covered")
    return tuple(sorted(entries, key=lambda e: (order.index(e.tuned.verdict), e.tuned.row.id)))


def _matching(rows: Sequence[VerdictRow], sample: int) -> list[VerdictRow]:
    """Each baseline's answer of that sample, or its only one."""
    by_model: dict[str, VerdictRow] = {}
    for row in rows:
        if row.model not in by_model or row.sample == sample:
            by_model[row.model] = row
    return list(by_model.values())
