"""The environment of all templates: HTML is escaped, Markdown is not."""

import functools
import html
import re
from pathlib import Path

import jinja2

from core.conversation import transcript
from core.text import duration
from reports import wording

_MARKUP = re.compile(r"[\\`*_{}\[\]()#+!|~]")


def render(template: Path, *further: Path, **values: object) -> str:
    """Render a template.

    Args:
        template: Its file.
        *further: Folders of the templates that it extends or includes, besides its own.
        **values: Its variables.
    """
    return _environment(template.parent, *further).get_template(template.name).render(**values)


@functools.cache
def _environment(*folders: Path) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "agreement": wording.agreement,
        "break_even": wording.break_even,
        "cell": _cell,
        "comparison": wording.comparison,
        "dollars": wording.dollars,
        "duration": duration,
        "fenced": _fenced,
        "known_dollars": wording.known_dollars,
        "latency": wording.latency,
        "model_name": wording.model_name,
        "model_size": wording.model_size,
        "holdout_note": wording.holdout_note,
        "number": wording.number,
        "percent": wording.percent,
        "relative": wording.relative,
        "headline_detail": wording.headline_detail,
        "report_headline": wording.report_headline,
        "scorer_name": wording.scorer_name,
        "seconds": wording.seconds,
        "since": wording.since,
        "start": wording.start,
        "threshold": wording.threshold,
        "transcript": transcript,
        "unbroken": wording.unbroken,
        "verdict": wording.verdict,
    }
    environment.globals["splits"] = wording.SPLITS
    return environment


def _cell(text: str) -> str:
    """Put text into a cell of a Markdown table: on one line, and nothing in it is markup."""
    return _MARKUP.sub(r"\\\g<0>", html.escape(" ".join(str(text).split()), quote=False))


def _fenced(text: str, language: str = "") -> str:
    """Make a Markdown code block with a fence longer than any run of backticks in the text."""
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", text))])
    return f"{fence}{language}\n{text}\n{fence}"
