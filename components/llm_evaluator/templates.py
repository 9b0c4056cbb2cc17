"""The prompt texts and their versions; what goes into their blocks is left to `requests`.

A text that is changed in meaning becomes a new file with the next version, so that a report keeps
telling what its judge was asked.
"""

import functools
from pathlib import Path

import jinja2

JUDGE = "judge"
ANSWER = "answer"
VERSIONS = {JUDGE: "v1", ANSWER: "v1"}


def render(name: str, **values: str) -> str:
    """Fills the current version of a prompt text.

    Values are inserted as they are, and nothing inside them is read as template code.

    Args:
        name: One of the constants of this module.
        **values: A value for every variable of the text; a missing one is an error.
    """
    return _template(name).render(**values)


@functools.cache
def _template(name: str) -> jinja2.Template:
    path = Path(__file__).with_name("prompts") / f"{name}.{VERSIONS[name]}.jinja"
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # plain text for a language model, not HTML
    )
    return environment.from_string(path.read_text(encoding="utf-8"))
