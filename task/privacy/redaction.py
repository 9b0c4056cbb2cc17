"""Replace personal data with typed placeholders, and put it back."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from task.privacy.detectors import find
from task.privacy.settings import PrivacySettings

_PLACEHOLDER = re.compile(r"\[(EMAIL|PHONE|IBAN|CARD|NATIONAL_ID|KEY|PERSON|LOCATION)_(\d+)\]")


class Redacted(NamedTuple):
    """Texts without their personal data.

    Attributes:
        texts: The texts with placeholders, in the order given.
        originals: What each placeholder stands for, as first written. It is personal data: keep it
            on this machine.
    """

    texts: tuple[str, ...]
    originals: Mapping[str, str]


def redact(texts: Sequence[str], settings: PrivacySettings | None = None) -> Redacted:
    """Replace personal data in texts that belong together, such as a prompt and its output.

    The same value has the same placeholder in all of them, in whatever spelling it occurs.

    Args:
        texts: The texts.
        settings: See `find`.

    Example:
        >>> redact(["I am ada@example.org", '{"mail": "Ada@example.org"}']).texts
        ('I am [EMAIL_1]', '{"mail": "[EMAIL_1]"}')
    """
    taken = {name for text in texts for name in placeholders_in(text)}
    placeholders: dict[tuple[str, str], str] = {}
    originals: dict[str, str] = {}
    counts: dict[str, int] = {}
    redacted = []
    for text in texts:
        parts, last = [], 0
        for finding in find(text, settings):
            key = (finding.kind, finding.value)
            if key not in placeholders:
                placeholders[key] = _next(finding.kind, counts, taken)
                originals[placeholders[key]] = text[finding.start : finding.end]
            parts += [text[last : finding.start], placeholders[key]]
            last = finding.end
        redacted.append("".join([*parts, text[last:]]))
    return Redacted(tuple(redacted), originals)


def _next(kind: str, counts: dict[str, int], taken: set[str]) -> str:
    """Return the next placeholder of a kind that no text holds already."""
    while True:
        counts[kind] = counts.get(kind, 0) + 1
        placeholder = f"[{kind}_{counts[kind]}]"
        if placeholder not in taken:
            return placeholder


def restore(text: str, originals: Mapping[str, str]) -> str:
    """Put back what placeholders stand for; those that are unknown stay.

    Args:
        text: A response to a redacted prompt.
        originals: As `redact` returned them.
    """
    return _PLACEHOLDER.sub(lambda match: originals.get(match[0], match[0]), text)


def restore_answer(text: str, originals: Mapping[str, str]) -> str:
    """Put back what placeholders of an answer stand for; JSON stays JSON.

    Args:
        text: A response to a redacted prompt.
        originals: As `redact` returned them.
    """
    if _is_json(text):
        escaped = {name: json.dumps(value, ensure_ascii=False) for name, value in originals.items()}
        originals = {name: value[1:-1] for name, value in escaped.items()}
    return restore(text, originals)


def placeholders_in(text: str) -> set[str]:
    """Return the placeholders that a text holds."""
    return {match[0] for match in _PLACEHOLDER.finditer(text)}


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
