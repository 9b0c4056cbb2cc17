"""The attribute values that the stand-in proposes; `compose` knows how to show each of them."""

import re
from collections.abc import Sequence

_VALUES: dict[str, list[str]] = {
    "persona": [
        "retired person who is not used to apps",
        "young parent with no time",
        "student in a shared flat",
        "landlord with several flats",
        "small-shop owner",
        "technician who knows the jargon",
        "non-native speaker of English",
        "loyal customer of many years",
        "first-time buyer",
        "night-shift worker",
    ],
    "difficulty": [
        "easy: one plain wish",
        "easy: the key word is named",
        "medium: the wish comes after some background",
        "medium: everyday words instead of technical ones",
        "hard: a second, less serious wish is mentioned",
        "hard: the wish is only implied",
    ],
    "length": [
        "a few words",
        "one sentence",
        "two sentences",
        "three or four sentences",
        "a short paragraph",
        "a long mail of several paragraphs",
    ],
    "tone": [
        "neutral",
        "friendly and patient",
        "annoyed",
        "very polite and formal",
        "worried",
        "sarcastic",
        "in a rush",
        "curious",
        "disappointed",
        "matter-of-fact",
    ],
    "format": [
        "plain text",
        "mail with greeting and sign-off",
        "chat message with abbreviations",
        "all lower case",
        "all capital letters",
        "no punctuation",
        "several typing errors",
        "keywords instead of sentences",
        "with emoji",
        "subject line first",
    ],
    "language": ["English"],
    "edge_case": [
        "product name misspelled",
        "no product named",
        "two wishes, one more serious",
        "deadline of today or tomorrow",
        "says there is no hurry",
        "danger described calmly",
        "order number and dates as noise",
        "greeting in another language",
        "problem that was solved before is mentioned",
        "asks on behalf of somebody else",
    ],
}
_LANGUAGES = {
    "German": "ich nicht und ist mein meine bitte der das wann habe kann",
    "French": "je mon ma est pas vous bonjour une les dans votre avec",
    "Spanish": "mi el los por una pero gracias hola cuando puedo tengo",
    "Italian": "il mio mia non che per grazie buongiorno come posso sono",
    "Dutch": "ik mijn niet het een en wanneer kan heb graag jullie",
}
_MIN_WORDS = 3  # of another language, before an example counts as written in it


def propose(prompts: Sequence[str]) -> dict[str, object]:
    """Values for every attribute.

    Args:
        prompts: The examples' prompts; their languages are the ones that are proposed.
    """
    found = {language for prompt in prompts for language in _languages(prompt)}
    return {**_VALUES, "language": [*_VALUES["language"], *sorted(found)]}


def _languages(prompt: str) -> list[str]:
    words = set(re.findall(r"\w+", prompt.lower()))
    shared = {name: len(words & set(common.split())) for name, common in _LANGUAGES.items()}
    return [name for name, count in shared.items() if count >= _MIN_WORDS]
