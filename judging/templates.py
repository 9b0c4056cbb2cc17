"""The prompt texts and their versions; `requests` fills their blocks."""

from pathlib import Path

from judging.settings import EvaluatorSettings
from service_llm import prompt_files

JUDGE = "judge"
JUDGE_REFERENCES = "judge_references"  # where a prompt has several right answers
ANSWER = "answer"
ANSWER_CONVERSATION = "answer_conversation"  # where seeds have several turns
VERSIONS = {JUDGE: "v2", JUDGE_REFERENCES: "v1", ANSWER: "v2", ANSWER_CONVERSATION: "v1"}


def version(name: str, settings: EvaluatorSettings) -> str:
    """Return the version of a prompt text; a hash for one of the user's own."""
    own_text = settings.prompts.text(name)
    return prompt_files.version_of(own_text) if own_text else VERSIONS[name]


def render(name: str, settings: EvaluatorSettings, **values: str) -> str:
    """Fill in the current version of a prompt text, or the user's own."""
    file = Path(__file__).with_name("prompts") / f"{name}.{VERSIONS[name]}.jinja"
    return prompt_files.render(file, settings.prompts.text(name), **values)
