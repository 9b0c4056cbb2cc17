"""Renders the evaluation page; the report of a loop of rounds is made of the same parts."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from components.llm_evaluator.page import wording
from components.llm_evaluator.page.view import make_view
from components.llm_evaluator.verdicts import VerdictRow

TEMPLATES = Path(__file__).parent / "templates"


def render_evaluation(report: Mapping[str, Any], verdicts: Sequence[VerdictRow]) -> str:
    """The page as text.

    Everything in it that a model or a user wrote is escaped, and the page's own policy lets only
    its own script run, named by its hash.

    Args:
        report: A `coverage_report.json`.
        verdicts: Its verdict rows, of all models.
    """
    return render(
        environment(),
        "evaluation.html.j2",
        report=report,
        evaluation=make_view(report, verdicts),
        headline=wording.headline(report),
        caveat=wording.caveat(report["gate"]),
        notice=wording.STAND_IN_NOTICE if report["stand_in"] else None,
    )


def environment(*further: Path) -> jinja2.Environment:
    """The environment of the evaluation's templates.

    Args:
        *further: Folders of other templates, searched first.
    """
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*further, TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "percent": wording.percent,
        "number": wording.number,
        "dollars": wording.dollars,
        "model_name": lambda model: wording.MODEL_NAMES.get(model, model),
        "scorer_name": wording.scorer_name,
    }
    return made


def render(made: jinja2.Environment, name: str, **values: Any) -> str:
    """A page with the evaluation's style and script inside, and a policy that allows only these.

    Args:
        made: An `environment`.
        name: The page's template.
        **values: Its variables.
    """
    style, script = (
        (TEMPLATES / source).read_text(encoding="utf-8") for source in ("style.css", "filter.js")
    )
    return made.get_template(name).render(
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
        **values,
    )


def _hash(source: str) -> str:
    """As a Content-Security-Policy names an inline script or style."""
    digest = hashlib.sha256(source.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
