"""The prompt texts and their versions; what goes into their blocks is left to `requests`."""

from pathlib import Path

from components import prompt_texts

JUDGE = "judge"
ANSWER = "answer"
VERSIONS = {JUDGE: "v1", ANSWER: "v1"}


def render(name: str, **values: str) -> str:
    """Fill in the current version of a prompt text, one of the constants of this module."""
    file = Path(__file__).with_name("prompts") / f"{name}.{VERSIONS[name]}.jinja"
    return prompt_texts.render(file, **values)
