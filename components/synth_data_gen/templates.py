"""The prompt texts and their versions; what goes into their blocks is left to `requests`.

A text that is changed in meaning becomes a new file with the next version, so that a row's
provenance keeps telling what its author was asked.
"""

import functools
import hashlib
from pathlib import Path

import jinja2

PROPOSE_ATTRIBUTES = "propose_attributes"
PROPOSE_PROMPTS = "propose_prompts"
ANSWER = "answer"
SCORE = "score"
RUBRIC = "rubric"
VERSIONS = {
    PROPOSE_ATTRIBUTES: "v1",
    PROPOSE_PROMPTS: "v1",
    ANSWER: "v1",
    SCORE: "v1",
    RUBRIC: "v1",
}
_DIGEST_CHARS = 12


def versions(rubric: str) -> dict[str, str]:
    """The version of each prompt text, for provenance.

    Args:
        rubric: The rubric of the settings; empty for the one of this repository.
    """
    if not rubric:
        return dict(VERSIONS)
    digest = hashlib.sha256(rubric.encode()).hexdigest()[:_DIGEST_CHARS]
    return {**VERSIONS, RUBRIC: f"sha256:{digest}"}


def render(name: str, **values: str | int) -> str:
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
        keep_trailing_newline=False,
    )
    return environment.from_string(path.read_text(encoding="utf-8"))
