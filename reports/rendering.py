"""The environment of all templates: HTML is escaped, Markdown is not."""

import functools
import html
import re
from collections.abc import Callable
from pathlib import Path

import jinja2

from core.conversation import transcript
from core.text import duration
from reports import wording
from reports.typeset import typeset

_MARKUP = re.compile(r"[\\`*_{}\[\]()#+!|~]")
_SENTENCES = (  # and figures
    wording.agreement,
    wording.break_even,
    wording.comparison,
    duration,
    wording.headline_detail,
    wording.holdout_note,
    wording.latency,
    wording.model_size,
    wording.number,
    wording.per_second,
    wording.percent,
    wording.points,
    wording.relative,
    wording.report_headline,
    wording.seconds,
    wording.since,
    wording.threshold,
)


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
        "cell": _cell,
        "dollars": wording.dollars,
        "fenced": _fenced,
        "known_dollars": wording.known_dollars,
        "model_name": wording.model_name,
        "scorer_name": wording.scorer_name,
        "start": wording.start,
        "transcript": transcript,
        "typeset": typeset,
        "unbroken": wording.unbroken,
        "verdict": wording.verdict,
    }
    environment.filters |= {function.__name__: _typeset(function) for function in _SENTENCES}
    environment.globals["splits"] = wording.SPLITS
    return environment


def _typeset(function: Callable[..., str | None]) -> Callable[..., str | None]:
    """Make a filter of a function whose text has numbers."""

    def typeset_text(*values: object) -> str | None:
        text = function(*values)
        return text and typeset(text)

    return typeset_text


def _cell(text: str) -> str:
    """Put text into a cell of a Markdown table: on one line, and nothing in it is markup."""
    return _MARKUP.sub(r"\\\g<0>", html.escape(" ".join(str(text).split()), quote=False))


def _fenced(text: str, language: str = "") -> str:
    """Make a Markdown code block with a fence longer than any run of backticks in the text."""
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", text))])
    return f"{fence}{language}\n{text}\n{fence}"
