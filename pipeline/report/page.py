"""Renders the report as one self-contained HTML page."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

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
    style, script = (_source(name) for name in ("style.css", "filter.js"))
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            summary=summary,
            view=make_view(summary, verdicts),
            config=json.dumps(summary["config"], indent=2, ensure_ascii=False),
            style=Markup(style),
            script=Markup(script),
            style_hash=_hash(style),
            script_hash=_hash(script),
        )
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "duration": duration,
        "percent": wording.percent,
        "number": wording.number,
        "dollars": wording.dollars,
        "start": wording.start,
    }
    environment.globals |= {"geometry": chart, "loss_geometry": loss_chart}
    return environment


def _source(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _hash(source: str) -> str:
    """As a Content-Security-Policy names an inline script or style."""
    digest = hashlib.sha256(source.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
