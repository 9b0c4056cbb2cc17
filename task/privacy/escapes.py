r"""Texts with their escapes undone: in JSON, `\nada@example.org` begins a line."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_ESCAPE = re.compile(
    r'\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|["\\/bfnrt])'
)
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*')


class Unescaped(NamedTuple):
    """A text without escapes.

    Attributes:
        text: The text.
        places: Of each of its characters, and of its end, the index in the text with escapes.
    """

    text: str
    places: Sequence[int]


def unescaped(text: str) -> Unescaped:
    """Return a text without escapes, and where its characters come from."""
    if "\\" not in text:
        return Unescaped(text, range(len(text) + 1))
    parts: list[str] = []
    places: list[int] = []
    last = 0
    for match in _ESCAPE.finditer(text):
        parts += [text[last : match.start()], json.loads(f'"{match[0]}"')]
        places += [*range(last, match.start()), match.start()]
        last = match.end()
    parts.append(text[last:])
    return Unescaped("".join(parts), [*places, *range(last, len(text) + 1)])


def is_quoted(text: str, place: int) -> bool:
    """Whether a place is between double quotes, as where a text holds some JSON."""
    return text.count('"', 0, place) % 2 == 1


def is_json(text: str) -> bool:
    """Whether a text is JSON."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def escaped(text: str) -> str:
    """Return a text as it stands in a string of JSON."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def numbers(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the numbers of a JSON text are, in their order."""
    for token in _TOKEN.finditer(text):
        if not token[0].startswith('"'):
            yield token.span()
