"""The prompt texts and their versions; what goes into their blocks is left to `requests`."""

from pathlib import Path

from components import prompt_texts

PROPOSE_ATTRIBUTES = "propose_attributes"
PROPOSE_PROMPTS = "propose_prompts"
ANSWER = "answer"
SCORE = "score"
VERSIONS = {PROPOSE_ATTRIBUTES: "v1", PROPOSE_PROMPTS: "v1", ANSWER: "v1", SCORE: "v1"}


def render(name: str, **values: str | int) -> str:
    """Fill in the current version of a prompt text, one of the constants of this module."""
    file = Path(__file__).with_name("prompts") / f"{name}.{VERSIONS[name]}.jinja"
    return prompt_texts.render(file, **values)
