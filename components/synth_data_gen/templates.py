"""The prompt texts and their versions; what goes into their blocks is left to `requests`."""

import hashlib
from pathlib import Path

from components import prompt_texts

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
    """Fill in the current version of a prompt text, one of the constants of this module."""
    file = Path(__file__).with_name("prompts") / f"{name}.{VERSIONS[name]}.jinja"
    return prompt_texts.render(file, **values)
