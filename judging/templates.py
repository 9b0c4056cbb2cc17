"""The prompt texts and their versions; `requests` fills their blocks."""

from pathlib import Path

from judging.settings import EvaluatorSettings
from service_llm import prompt_files

JUDGE = "judge"
JUDGE_REFERENCES = "judge_references"  # where a prompt has several right answers
JUDGE_ROWS = "judge_rows"  # several rows in a request
ANSWER = "answer"
ANSWER_CONVERSATION = "answer_conversation"  # where seeds have several turns
VERSIONS = {
    JUDGE: "v3",
    JUDGE_REFERENCES: "v2",
    JUDGE_ROWS: "v1",
    ANSWER: "v3",
    ANSWER_CONVERSATION: "v2",
}

# The texts that take the place of another one for some rows, and for which.
_INSTEAD = {
    JUDGE_REFERENCES: (JUDGE, "prompts with several right answers"),
    ANSWER_CONVERSATION: (ANSWER, "prompts of a dataset whose seeds have several turns"),
}


def version(name: str, settings: EvaluatorSettings) -> str:
    """Return the version of a prompt text; a hash for one of the user's own."""
    own_text = settings.prompts.text(name)
    return prompt_files.version_of(own_text) if own_text else VERSIONS[name]


def check_own(name: str, settings: EvaluatorSettings) -> None:
    """Raise UserError where the user's own text covers other rows than those that this one does."""
    if name in _INSTEAD:
        single, where = _INSTEAD[name]
        prompt_files.raise_if_replaced_in_part(
            settings.prompts,
            name,
            single,
            room="evaluator.prompts",
            where=where,
            file=_file(name),
        )


def _file(name: str) -> Path:
    return Path(__file__).with_name("prompts") / f"{name}.{VERSIONS[name]}.jinja"


def judge_version(settings: EvaluatorSettings) -> str:
    """Return the version of the text that most rows are judged with; rows together are another.

    One of the user's own for prompts with several right answers is named with it.
    """
    found = version(JUDGE, settings)
    if settings.rows_per_request > 1 and settings.prompts.judge is None:
        found = f"{VERSIONS[JUDGE_ROWS]}, {settings.rows_per_request} rows a request"
    if settings.prompts.judge_references is None:
        return found
    return f"{found}; for several right answers {version(JUDGE_REFERENCES, settings)}"


def render(name: str, settings: EvaluatorSettings, **values: str | int) -> str:
    """Fill in the current version of a prompt text, or the user's own; see `check_own`."""
    check_own(name, settings)
    file = _file(name)
    return prompt_files.render(file, settings.prompts.text(name), **values)
