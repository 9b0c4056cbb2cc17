"""Arranges what a summary says of its loop as the report's template needs it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from components.llm_evaluator.page.wording import MODEL_NAMES, caveat, headline
from pipeline.report.chart import Chart, make_chart
from pipeline.report.loss_chart import LossChart, make_loss_charts
from pipeline.report.wording import stop_sentence


@dataclasses.dataclass(frozen=True)
class View:
    """What the template shows besides the summary itself and the best round's evaluation."""

    headline: str
    caveat: str | None
    stop_sentence: str
    best: Mapping[str, Any]
    chart: Chart
    drop_reasons: tuple[str, ...]
    losses: tuple[LossChart, ...]
    nodes: tuple[str, ...]
    seconds: Mapping[tuple[int, str], Mapping[str, Any]]


def make_view(summary: Mapping[str, Any]) -> View:
    """Arrange everything.

    Args:
        summary: What `make_summary` returns.
    """
    rounds = summary["rounds"]
    best = next(entry for entry in rounds if entry["round"] == summary["best_round"])
    names = {model: MODEL_NAMES.get(model, model) for model in best["rates"]}
    return View(
        headline=headline(best),
        caveat=caveat(best["gate"]),
        stop_sentence=stop_sentence(summary["stop_reason"]),
        best=best,
        chart=make_chart(rounds, best, names),
        drop_reasons=tuple(sorted({r for entry in rounds for r in entry["data"]["dropped"] or ()})),
        losses=make_loss_charts(rounds),
        nodes=tuple(dict.fromkeys(c["node"] for entry in rounds for c in entry["components"])),
        seconds={(e["round"], c["node"]): c for e in rounds for c in e["components"]},
    )
