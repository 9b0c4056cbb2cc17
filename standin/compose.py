"""Writes messages: a situation, what people say around it, and the way it is typed.

A message depends on nothing but what it was asked for. It is handed out only when the reader
(`triage`) gets back the label that it was written for; otherwise another one is drawn.
"""

import random
from collections.abc import Mapping
from typing import NamedTuple

from standin.labels import CATEGORIES, PRODUCTS, Label
from standin.styles import Style, read_style
from standin.triage import triage
from standin.writer import Writer

_DRAWS = 40
_SHARE_WITHOUT_PRODUCT = 0.12
# Attributes that call for a hurry or for none come on top, so that all three are about as frequent
# as in real mail.
_PRIORITY_WEIGHTS = {"low": 0.1, "normal": 0.7, "high": 0.2}
_LONGEST_FACTOR = 3.0  # of the longest example: real users' lengths are seen there
_MIN_CHARS = 160


class Example(NamedTuple):
    """A pair shown in a request; the label is None where it cannot be read."""

    prompt: str
    label: Label | None


class Wish(NamedTuple):
    """What a message is asked to be.

    Attributes:
        like: The label whose kind it shares, if any.
        attributes: Free text by attribute name.
        longest_example: Characters of the longest example; 0 for no limit.
    """

    like: Label | None
    attributes: Mapping[str, str]
    longest_example: int


class Message(NamedTuple):
    """A message and the label it was written for."""

    text: str
    label: Label


def compose(wish: Wish, dice: str) -> Message:
    """Write a message.

    Args:
        wish: What is asked for.
        dice: Decides whatever is left open; the same dice give the same message.
    """
    message = _draw(wish, random.Random(f"{dice}/0"))
    for attempt in range(1, _DRAWS):
        if triage(message.text) == message.label:
            break
        message = _draw(wish, random.Random(f"{dice}/{attempt}"))
    return message


def _draw(wish: Wish, rng: random.Random) -> Message:
    style = read_style(wish.attributes, rng)
    label = _label(wish, style, rng)
    limit = max(_MIN_CHARS, int(_LONGEST_FACTOR * wish.longest_example))
    edge_case = wish.attributes.get("edge_case", "").lower()
    difficulty = wish.attributes.get("difficulty", "").lower()
    writer = Writer(label, style, rng, f"{edge_case} {difficulty}")
    return Message(writer.write(limit if wish.longest_example else None), label)


def _label(wish: Wish, style: Style, rng: random.Random) -> Label:
    said = " ".join(wish.attributes.values()).lower()
    category = wish.like.category if wish.like else rng.choice(CATEGORIES)
    product = None if rng.random() < _SHARE_WITHOUT_PRODUCT else rng.choice(PRODUCTS)
    if "no product" in said:
        product = None
    elif "misspell" in said and product is None:
        product = rng.choice(PRODUCTS)
    drawn = rng.choices(list(_PRIORITY_WEIGHTS), list(_PRIORITY_WEIGHTS.values()))[0]
    if wish.like and rng.random() < 0.35:
        drawn = wish.like.priority
    if any(cue in said for cue in ("deadline", "danger", "urgent", "in a rush")):
        drawn = "high"
    elif any(cue in said for cue in ("no hurry", "curious")):
        drawn = "low"
    if style.language != "English" and drawn == "low":
        drawn = "normal"
    return Label(category, drawn, product)
