"""Renders the dataset's card (Hub format) and its page (HTML that loads nothing else)."""

import functools
import html
import re
from pathlib import Path
from typing import Any

import jinja2
import yaml

from components.synth_data_gen.overview import Overview

_MARKUP = re.compile(r"[\\`*_{}\[\]()#+!|~]")
_FOLDER = Path(__file__).with_name("report")
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def render_page(overview: Overview) -> str:
    """The HTML page; texts of the data are escaped."""
    return _environment(autoescape=True).get_template("page.html.jinja").render(o=overview)


def render_card(overview: Overview) -> str:
    """The dataset card: YAML metadata and Markdown, as the Hub reads it.

    Texts of the data stand in code blocks, in which Markdown has no meaning.
    """
    metadata = yaml.safe_dump(card_metadata(overview), sort_keys=False, allow_unicode=True)
    template = _environment(autoescape=False).get_template("card.md.jinja")
    return template.render(o=overview, metadata=metadata.strip())


def card_metadata(overview: Overview) -> dict[str, Any]:
    """The metadata at the head of the card, in the Hub's vocabulary."""
    summary = overview.summary
    total = summary["total_rows"]
    return {
        "pretty_name": f"Synthetic data for {overview.task_name}",
        "annotations_creators": ["machine-generated"],
        "language_creators": ["machine-generated"],
        "task_categories": ["text-generation"],
        "size_categories": [next((name for top, name in _SIZES if total < top), "n>1M")],
        "tags": ["synthetic", "understudy", *(["stand-in"] if summary["stand_in"] else [])],
        "dataset_info": {
            "features": [
                {"name": name, "dtype": dtype}
                for name, dtype in (
                    ("id", "string"),
                    ("prompt", "string"),
                    ("output", "string"),
                    ("provenance", "string"),
                    ("round", "int64"),
                )
            ],
            "splits": [
                {"name": name, "num_examples": summary[f"{name}_rows"]}
                for name in ("train", "eval")
            ],
        },
    }


@functools.cache
def _environment(*, autoescape: bool) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["fenced"] = _fenced
    environment.filters["cell"] = _cell
    return environment


def _cell(text: str) -> str:
    """Text in a cell of a Markdown table: on one line, and nothing in it is markup."""
    return _MARKUP.sub(r"\\\g<0>", html.escape(" ".join(str(text).split()), quote=False))


def _fenced(text: str) -> str:
    """A Markdown code block with a fence longer than any run of backticks in the text."""
    longest = max((len(run) for run in _backtick_runs(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def _backtick_runs(text: str) -> list[str]:
    return "".join(c if c == "`" else " " for c in text).split()
