"""Prompt texts of the components: versioned files, filled in as plain text.

A text that is changed in meaning becomes a new file with the next version, so that what a reply was
kept with goes on telling what was asked.
"""

import functools
from pathlib import Path

import jinja2


def render(file: Path, **values: str | int) -> str:
    """Fill in a prompt text.

    Values are inserted as they are, and nothing inside them is read as template code.

    Args:
        file: A Jinja template.
        **values: A value for every variable of the text; a missing one is an error.
    """
    return _template(file).render(**values)


@functools.cache
def _template(file: Path) -> jinja2.Template:
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # plain text for a language model, not HTML
    )
    return environment.from_string(file.read_text(encoding="utf-8"))
