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
    PROPOSE_PROMPTS: "v2",
    ANSWER: "v2",
    SCORE: "v1",
    RUBRIC: "v2",
    JUDGE_LEAK: "v1",
}
# In place of those of single messages, where seeds have several turns.
CONVERSATION_VERSIONS = {PROPOSE_CONVERSATIONS: "v1", ANSWER_CONVERSATION: "v1"}
_ALL = VERSIONS | CONVERSATION_VERSIONS
_SINGLE_MESSAGES = (PROPOSE_PROMPTS, ANSWER)


def versions(settings: SynthSettings, *, conversations: bool = False) -> dict[str, str]:
    """Return the version of each prompt text, for provenance; a hash for one of the user's own.

    Args:
        settings: They may name texts of the user's own.
        conversations: Whether seeds have several turns.
    """
    used = dict(VERSIONS)
    if conversations:
        used = {name: version for name, version in used.items() if name not in _SINGLE_MESSAGES}
        used |= CONVERSATION_VERSIONS
    own = {name: text for name in used if (text := own_text(name, settings))}
    return used | {name: prompt_files.version_of(text) for name, text in own.items()}


def own_text(name: str, settings: SynthSettings) -> str | None:
    """Return the text of the user's own that replaces one of the constants of this module."""
    if name == RUBRIC and settings.quality_rubric.strip():
        return settings.quality_rubric
    return settings.prompts.text(name)


def render(name: str, settings: SynthSettings, **values: str | int) -> str:
    """Fill in the current version of a prompt text, or the user's own."""
    file = Path(__file__).with_name("prompts") / f"{name}.{_ALL[name]}.jinja"
    return prompt_files.render(file, own_text(name, settings), **values)
