"""How a message is typed: what a plan's attributes ask for, and how it is done to a text."""

import random
import re
from collections.abc import Mapping
from typing import NamedTuple

from standin.products import find_products, slip

_ABBREVIATIONS = {
    "you": "u",
    "your": "ur",
    "are": "r",
    "please": "pls",
    "thanks": "thx",
    "tomorrow": "tmrw",
    "because": "cuz",
    "and": "n",
    "before": "b4",
    "message": "msg",
    "password": "pw",
    "account": "acct",
    "really": "rly",
    "people": "ppl",
}
_EMOJI = {
    "angry": ("😡", "🙄", "😤"),
    "worried": ("😟", "😬", "😰"),
    "other": ("🙂", "🙏", "🤔", "😅", "👋", "👍"),
}
_ARTICLES = re.compile(
    r"(?<!to )\b(?:the|a|an|please|my|our) |^(?:I|We) (?=[a-z])|(?<=[.!?] )I ", re.IGNORECASE
)
_ENGLISH = "English"


class Style(NamedTuple):
    """How a message is to look.

    Attributes:
        extras: Sentences besides the wish itself.
        case: `lower`, `upper` or nothing.
        drops_punctuation: Whether commas, full stops and the like are left out.
        typos: Words with a typing error.
        abbreviates: Whether chat short forms are used.
        is_mail: Whether it has greeting, line breaks and sign-off.
        is_keywords: Whether small words are left out.
        emoji: A kind of emoji, or nothing.
        has_subject: Whether a subject line comes first.
        feeling: Name of a feeling that shows, or nothing.
        language: What it is written in.
        foreign_greeting: Whether greeting or closing come from another language.
    """

    extras: int
    case: str
    drops_punctuation: bool
    typos: int
    abbreviates: bool
    is_mail: bool
    is_keywords: bool
    emoji: str
    has_subject: bool
    feeling: str
    language: str
    foreign_greeting: bool


_LENGTHS = (
    (("few words", "very short", "one line", "terse", "fragment", "keyword"), (0, 0)),
    (("one sentence", "single sentence", "short sentence"), (0, 0)),
    (("two", "couple"), (1, 1)),
    (("three", "four", "medium"), (2, 3)),
    (("several paragraphs", "long", "detailed", "rambling"), (4, 6)),
    (("paragraph",), (3, 4)),
    (("short", "brief"), (0, 1)),
)
_FEELINGS = {
    "annoyed": ("annoy", "angry", "furious", "frustrat", "impatient", "rude"),
    "sarcastic": ("sarcas", "ironic"),
    "polite": ("polite", "formal", "courteous"),
    "worried": ("worr", "anxious", "scared", "afraid"),
    "cheerful": ("friendly", "cheerful", "warm", "happy"),
    "disappointed": ("disappoint", "sad", "resigned"),
}
_LANGUAGES = ("German", "French", "Spanish", "Italian", "Dutch")


def read_style(attributes: Mapping[str, str], rng: random.Random) -> Style:
    """Return the style that attributes describe; what they leave open is drawn.

    Args:
        attributes: Free text by attribute name.
        rng: Draws what is open.
    """
    form = attributes.get("format", "").lower()
    said = " ".join((form, attributes.get("persona", ""), attributes.get("edge_case", ""))).lower()
    feeling = _feeling(f"{attributes.get('tone', '')} {attributes.get('persona', '')}".lower(), rng)
    language = next((n for n in _LANGUAGES if n in attributes.get("language", "")), _ENGLISH)

    def asked(*cues: str, otherwise: float) -> bool:
        if any(cue in said for cue in cues):
            return True
        return rng.random() < (otherwise if not form or "plain" in form else otherwise / 4)

    lower = asked("lower", "small letters", "uncapital", otherwise=0.12)
    return Style(
        extras=_extras(attributes.get("length", "").lower(), rng),
        case="upper" if "capital letters" in form or "all caps" in form else "lower" * lower,
        drops_punctuation=asked("no punctuation", "without punctuation", otherwise=0.07),
        typos=rng.randint(1, 3) if asked("typo", "typing", otherwise=0.15) else 0,
        abbreviates=asked("abbreviat", "chat", "text message", "slang", otherwise=0.06),
        is_mail=asked("mail", "sign-off", "letter", otherwise=0.12),
        is_keywords=asked("keyword", "telegra", "bullet", "note", otherwise=0.05),
        emoji=_emoji(feeling) if asked("emoji", otherwise=0.05) else "",
        has_subject=asked("subject", otherwise=0.03),
        feeling=feeling,
        language=language,
        foreign_greeting=asked("another language", "mixed lang", "foreign", otherwise=0.05),
    )


def _extras(length: str, rng: random.Random) -> int:
    for cues, (least, most) in _LENGTHS:
        if any(cue in length for cue in cues):
            return rng.randint(least, most)
    return rng.choice((0, 0, 1, 1, 2, 3))


def _feeling(said: str, rng: random.Random) -> str:
    found = [name for name, cues in _FEELINGS.items() if any(cue in said for cue in cues)]
    if found:
        return found[0]
    return rng.choice(("", "", "", "", "", "annoyed", "polite", "worried", "disappointed"))


def _emoji(feeling: str) -> str:
    return {"annoyed": "angry", "sarcastic": "angry", "worried": "worried"}.get(feeling, "other")


def apply(text: str, style: Style, rng: random.Random) -> str:
    """Types a text in a style.

    Args:
        text: Well-formed text.
        style: What to do to it.
        rng: Decides where.
    """
    if style.is_keywords:
        text = _ARTICLES.sub("", text)
        text = text[:1].upper() + text[1:]
    if style.abbreviates:
        text = re.sub(
            r"[A-Za-z]+", lambda m: _ABBREVIATIONS.get(m.group().lower(), m.group()), text
        )
    if style.typos:
        text = _with_typos(text, style.typos, rng)
    if style.drops_punctuation:
        text = re.sub(r"(?<=\w)[.,!?;:]+(?=\s|$)", "", text)
    if style.emoji:
        marks = rng.choice(_EMOJI[style.emoji]) * rng.choice((1, 1, 2, 3))
        text = f"{text} {marks}" if rng.random() < 0.7 else f"{marks} {text}"
    if style.case == "lower":
        return text.lower()
    return text.upper() if style.case == "upper" else text


def _with_typos(text: str, count: int, rng: random.Random) -> str:
    """Product names are left alone: they are misspelled where they are written, or not at all."""
    names = [(n.start, n.end) for n in find_products(text)]
    places = [
        match
        for match in re.finditer(r"[a-z]{5,}", text)
        if not any(start <= match.start() < end for start, end in names)
    ]
    for match in sorted(rng.sample(places, min(count, len(places))), key=lambda m: -m.start()):
        text = text[: match.start()] + slip(match.group(), rng) + text[match.end() :]
    return text
