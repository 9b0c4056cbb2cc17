"""Renders the report as one self-contained HTML page."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from components.llm_evaluator.page.render import environment, render
from components.llm_evaluator.page.view import make_view as make_evaluation_view
from components.llm_evaluator.page.wording import since
from components.llm_evaluator.verdicts import VerdictRow
from pipeline.progress.display import duration
from pipeline.report import chart, loss_chart, wording
from pipeline.report.view import make_view

_TEMPLATES = Path(__file__).parent / "templates"


def render_page(summary: Mapping[str, Any], verdicts: Sequence[VerdictRow]) -> str:
    """The page as text.

    Everything in it that a model or a user wrote is escaped, and the page's own policy lets only
    its own script run, named by its hash.

    Args:
        summary: What `make_summary` returns.
        verdicts: All models' verdict rows of the best round.
    """
    best = next(r for r in summary["rounds"] if r["round"] == summary["best_round"])
    report = best | {"models": best["rates"]}
    made = environment(_TEMPLATES)
    made.filters |= {"duration": duration, "start": wording.start, "since": since}
    made.globals |= {"geometry": chart, "loss_geometry": loss_chart}
    return render(
        made,
        "report.html.j2",
        summary=summary,
        view=make_view(summary),
        report=report,
        evaluation=make_evaluation_view(report, verdicts),
        config=json.dumps(summary["config"], indent=2, ensure_ascii=False),
    )
