"""Replace personal data with typed placeholders, and put it back."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from task.privacy.detectors import Finding, find
from task.privacy.escapes import escaped, is_json, is_quoted, numbers, unescaped
from task.privacy.settings import PrivacySettings

_PLACEHOLDER = re.compile(r"\[(EMAIL|PHONE|IBAN|CARD|NATIONAL_ID|KEY|PERSON|LOCATION)_(\d+)\]")
_FENCED = re.compile(r"\s*```[a-zA-Z]*\n(.*)\n```\s*", re.DOTALL)


class Redacted(NamedTuple):
    """Texts without their personal data.

    Attributes:
        texts: The texts with placeholders, in the order given.
        originals: What each placeholder stands for, as first written. It is personal data: keep it
            on this machine.
        spellings: The same for each text, as that text writes it first.
        numbers: Of each text, the placeholders that stand for a number of JSON.
    """

    texts: tuple[str, ...]
    originals: Mapping[str, str]
    spellings: tuple[Mapping[str, str], ...]
    numbers: tuple[frozenset[str], ...]


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
    spellings: list[dict[str, str]] = []
    quoted: list[frozenset[str]] = []
    counts: dict[str, int] = {}
    redacted = []
    for text in texts:
        parts, last = [], 0
        spellings.append({})
        numbers_here = set()
        for part in _parts(text, find(text, settings)):
            if part.key not in placeholders:
                placeholders[part.key] = _next(part.key[0], counts, taken)
            placeholder = placeholders[part.key]
            originals.setdefault(placeholder, part.original)
            spellings[-1].setdefault(placeholder, part.original)
            if part.is_number:
                numbers_here.add(placeholder)
            shown = f'"{placeholder}"' if part.is_number else placeholder
            parts += [text[last : part.start], shown]
            last = part.end
        redacted.append("".join([*parts, text[last:]]))
        quoted.append(frozenset(numbers_here))
    return Redacted(tuple(redacted), originals, tuple(spellings), tuple(quoted))


class _Part(NamedTuple):
    """A part of a text that is replaced.

    Attributes:
        start: Index of its first character.
        end: Index after its last character.
        key: Kind and value; equal ones have the same placeholder.
        original: As it was written, without escapes where the text is JSON.
        is_number: Whether it is a number of JSON, and its placeholder therefore a string.
    """

    start: int
    end: int
    key: tuple[str, str]
    original: str
    is_number: bool


def _parts(text: str, findings: Sequence[Finding]) -> Iterator[_Part]:
    in_json = bool(findings) and is_json(text)
    holds_numbers = in_json and text.lstrip()[:1] in ("{", "[")  # one that is alone stays a text
    numbers_left = numbers(text) if holds_numbers else iter(())
    number = next(numbers_left, None)
    last = 0
    for finding in findings:
        while number and number[1] <= finding.start:
            number = next(numbers_left, None)
        within = number if number and number[0] <= finding.start else None
        start, end = within or (finding.start, finding.end)
        if start < last:
            continue  # two in one number
        written = text[start:end]
        is_escaped = "\\" in written and (in_json or is_quoted(text, start))
        original = unescaped(written).text if is_escaped else written
        key = (finding.kind, finding.value)
        yield _Part(start, end, key, original, within is not None)
        last = end


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
    """Put back what placeholders of an answer stand for; JSON stays JSON, in a code fence, too.

    Args:
        text: A response to a redacted prompt.
        originals: As `redact` returned them.
    """
    fenced = _FENCED.fullmatch(text)
    if is_json(fenced[1] if fenced else text):
        originals = {name: escaped(value) for name, value in originals.items()}
    return restore(text, originals)


def placeholders_in(text: str) -> set[str]:
    """Return the placeholders that a text holds."""
    return {match[0] for match in _PLACEHOLDER.finditer(text)}
