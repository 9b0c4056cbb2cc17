"""Texts with alternatives and slots: `{a|b}` is either, `<name>` is filled in by name."""

import functools
import random
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

_FOLDER = Path(__file__).parent / "grammar"
_TOKEN = re.compile(r"[{|}]|<[a-z0-9]+>|[^{|}<]+|<")
_SECTION = "== "
_COMMENT = "#"

Fill = Callable[[str], str]


class _Slot(NamedTuple):
    name: str


class _Choice(NamedTuple):
    options: "list[_Sequence]"


_Sequence = list["str | _Slot | _Choice"]


class Template:
    """A text that can be written in many ways.

    Args:
        source: In the notation of this module.

    Raises:
        ValueError: Its braces do not match.
    """

    def __init__(self, source: str) -> None:
        tokens = _TOKEN.findall(source)
        options, used = _parse(tokens, 0)
        if used != len(tokens) or len(options) != 1:
            raise ValueError(f"braces do not match in {source!r}")
        self._sequence = options[0]
        self.source = source
        self.slots = frozenset(re.findall(r"<([a-z0-9]+)>", source))

    def write(self, rng: random.Random, fill: Fill) -> str:
        """One way of writing it.

        Args:
            rng: Chooses among alternatives.
            fill: Gives a slot's text.
        """
        return _write(self._sequence, rng, fill)


def _parse(tokens: list[str], start: int) -> tuple[list[_Sequence], int]:
    """Return the options up to a closing brace, and the position of that brace."""
    options: list[_Sequence] = [[]]
    position = start
    while position < len(tokens) and tokens[position] != "}":
        token = tokens[position]
        if token == "{":
            inner, position = _parse(tokens, position + 1)
            options[-1].append(_Choice(inner))
        elif token == "|" and start:
            options.append([])
        elif len(token) > 2 and token[0] == "<":
            options[-1].append(_Slot(token[1:-1]))
        else:
            options[-1].append(token)
        position += 1
    return options, position


def _write(sequence: _Sequence, rng: random.Random, fill: Fill) -> str:
    written = []
    for part in sequence:
        if isinstance(part, _Choice):
            written.append(_write(rng.choice(part.options), rng, fill))
        else:
            written.append(fill(part.name) if isinstance(part, _Slot) else part)
    return "".join(written)


@functools.cache
def read_sections(name: str) -> Mapping[str, list[Template]]:
    """Return the templates of a grammar file by section, in order.

    Args:
        name: File name without ending.
    """
    sections: dict[str, list[Template]] = {}
    current: list[Template] = []
    for line in (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith(_SECTION):
            current = sections.setdefault(line.removeprefix(_SECTION).strip(), [])
        elif line.strip() and not line.startswith(_COMMENT):
            current.append(Template(line.strip()))
    return sections


@functools.cache
def read_slots() -> Mapping[str, Template]:
    """Return the template that fills each slot."""
    slots = {}
    for line in (_FOLDER / "slots.txt").read_text(encoding="utf-8").splitlines():
        name, _, options = line.partition(": ")
        slots[name] = Template(f"{{{options}}}")
    return slots


def fill_slot(name: str, rng: random.Random) -> str:
    """Return the text of a slot that is not about the product."""
    if name == "num":
        return str(rng.randrange(10_000, 99_999))
    if name == "num3":
        return str(rng.randrange(100, 999))
    if name == "amount":
        money = f"{rng.randrange(5, 250)}.{rng.choice(('00', '50', '90', '95', '99'))}"
        return rng.choice((f"{money} EUR", f"${money}", f"£{money}", f"{money} euros", f"€{money}"))
    return read_slots()[name].write(rng, lambda inner: fill_slot(inner, rng))
