"""The prompt texts and their versions; `requests` fills their blocks."""

from pathlib import Path

from components.synth_data_gen.settings import SynthSettings
from service_llm import prompt_files

PROPOSE_ATTRIBUTES = "propose_attributes"
PROPOSE_PROMPTS = "propose_prompts"
ANSWER = "answer"
SCORE = "score"
RUBRIC = "rubric"
PROPOSE_CONVERSATIONS = "propose_conversations"
ANSWER_CONVERSATION = "answer_conversation"
JUDGE_LEAK = "judge_leak"
VERSIONS = {
    PROPOSE_ATTRIBUTES: "v2",
    PROPOSE_PROMPTS: "v3",
    ANSWER: "v3",
    SCORE: "v2",
    RUBRIC: "v3",
    JUDGE_LEAK: "v2",
}
# In place of those of single messages, where seeds have several turns.
CONVERSATION_VERSIONS = {PROPOSE_CONVERSATIONS: "v3", ANSWER_CONVERSATION: "v2"}
_ALL = VERSIONS | CONVERSATION_VERSIONS
_INSTEAD = {PROPOSE_CONVERSATIONS: PROPOSE_PROMPTS, ANSWER_CONVERSATION: ANSWER}


def versions(settings: SynthSettings, *, conversations: bool = False) -> dict[str, str]:
    """Return the version of each prompt text, for provenance; a hash for one of the user's own.

    Args:
        settings: They may name texts of the user's own.
        conversations: Whether seeds have several turns.
    """
    used = dict(VERSIONS)
    if conversations:
        used = {name: version for name, version in used.items() if name not in _INSTEAD.values()}
        used |= CONVERSATION_VERSIONS
    own = {name: text for name in used if (text := own_text(name, settings))}
    return used | {name: prompt_files.version_of(text) for name, text in own.items()}


def own_text(name: str, settings: SynthSettings) -> str | None:
    """Return the text of the user's own that replaces one of the constants of this module."""
    if name == RUBRIC and settings.quality_rubric.strip():
        return settings.quality_rubric
    return settings.prompts.text(name)


def check_own(name: str, settings: SynthSettings) -> None:
    """Raise UserError where the user's own text is for single messages, and seeds have turns."""
    if name in _INSTEAD:
        prompt_files.raise_if_replaced_in_part(
            settings.prompts,
            name,
            _INSTEAD[name],
            room="synth.prompts",
            where="seeds with several turns",
            file=_file(name),
        )


def _file(name: str) -> Path:
    return Path(__file__).with_name("prompts") / f"{name}.{_ALL[name]}.jinja"


def render(name: str, settings: SynthSettings, **values: str | int) -> str:
    """Fill in the current version of a prompt text, or the user's own; see `check_own`."""
    check_own(name, settings)
    return prompt_files.render(_file(name), own_text(name, settings), **values)
