"""How customers write the catalogue's names, and which product a text names."""

import functools
import random
import re
from collections.abc import Iterator
from typing import NamedTuple

from standin.labels import PRODUCTS

_WORD = re.compile(r"[^\W\d_]+")
_POINTERS = frozenset(
    ("my", "the", "our", "your", "a", "an", "this", "that", "mine", "new", "old", "named", "called")
)
_KINDS = {
    "Router": ("router", "wifi router"),
    "Cam": ("cam", "camera", "cams"),
    "Thermostat": ("thermostat", "termostat", "thermostats"),
    "Lamp": ("lamp", "lamps", "light"),
    "Doorbell": ("doorbell", "bell", "doorbells"),
    "Lock": ("lock", "locks", "doorlock"),
    "Kettle": ("kettle", "kettles"),
    "Purifier": ("purifier", "purifiers", "airpurifier"),
    "Speaker": ("speaker", "speakers"),
    "Bulb": ("bulb", "bulbs", "lightbulb"),
    "Vacuum": ("vacuum", "vacuums", "vac", "vacum"),
    "Blind": ("blind", "blinds"),
}
_VARIANTS = {
    "Nimbus Cam": ("Nimbus Camera", "Nimbus camera", "NimbusCam"),
    "Orbit Doorbell": ("Orbit door bell", "Orbit bell", "OrbitDoorbell"),
    "Forge Vacuum": ("Forge vac", "Forge Vaccuum", "Forge vacuum cleaner"),
    "Vista Blind": ("Vista blinds", "VistaBlind"),
    "Aero Purifier": ("Aero air purifier", "AeroPurifier"),
    "Quill Lock": ("Quill door lock", "QuillLock"),
    "Lumen Bulb": ("Lumen light bulb", "LumenBulb"),
    "Atlas Router": ("Atlas wifi router", "AtlasRouter"),
    "Echo Lamp": ("EchoLamp", "Echo-Lamp"),
}
_SOUNDS = (("ph", "f"), ("ck", "k"), ("k", "ck"), ("c", "k"), ("qu", "kw"), ("y", "i"), ("i", "y"))


class Named(NamedTuple):
    """A product found in a text.

    Attributes:
        product: Its catalogue name.
        start: Where its name starts, in characters.
        end: Where it ends.
    """

    product: str
    start: int
    end: int


def spell(product: str, rng: random.Random, *, wrongly: bool) -> str:
    """Return a product's name as some customer would type it.

    Args:
        product: Catalogue name.
        rng: Chooses.
        wrongly: Whether it has to be misspelled.
    """
    drawn = rng.random()
    if wrongly or drawn < 0.12:
        return _misspelled(product, rng)
    if drawn < 0.70:
        return product
    if drawn < 0.82:
        return product.lower()
    if drawn < 0.88:
        return product.capitalize()
    if drawn < 0.94:
        return rng.choice(_VARIANTS.get(product, (product, product.upper())))
    return product.split(maxsplit=1)[0]


@functools.lru_cache(maxsize=4096)
def find_products(text: str) -> tuple[Named, ...]:
    """Return the products that a text names, in its order, misspelled ones included."""
    tokens = list(_WORD.finditer(text))
    found: list[Named] = []
    for index, token in enumerate(tokens):
        if found and token.start() < found[-1].end:
            continue
        named = _named_at(tokens, index)
        if named:
            found.append(named)
    return tuple(found)


def _named_at(tokens: list[re.Match[str]], index: int) -> Named | None:
    token = tokens[index]
    word = token.group().lower()
    if word in _joined():
        return Named(_joined()[word], token.start(), token.end())
    product = _first_words().get(word)
    if product is None:
        return None
    first, second = product.split()
    for follower in tokens[index + 1 : index + 3]:
        if follower.group().lower() in _second_words(second):
            return Named(product, token.start(), follower.end())
    # The first word alone is a name where it is written right and stands as one: "my Nimbus".
    before = tokens[index - 1].group().lower() if index else ""
    is_right = word.removesuffix("s") == first.lower().removesuffix("s")
    is_capital = index > 0 and token.group()[0].isupper() and not token.group().isupper()
    if is_right and (before in _POINTERS or is_capital):
        return Named(product, token.start(), token.end())
    return None


@functools.cache
def _first_words() -> dict[str, str]:
    """Every spelling within one slip of a first word, by what it stands for."""
    return {
        spelling: product for product in PRODUCTS for spelling in _near(product.split()[0].lower())
    }


@functools.cache
def _second_words(kind: str) -> frozenset[str]:
    return frozenset(near for name in _KINDS[kind] for near in _near(name) if len(near) > 2)


@functools.cache
def _joined() -> dict[str, str]:
    names = {product: product.lower().replace(" ", "") for product in PRODUCTS}
    return {near: product for product, name in names.items() for near in _near(name)}


def _near(word: str) -> Iterator[str]:
    """Return the word and everything one slip of the keyboard away from it."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    yield word
    yield f"{word}s"
    for at in range(len(word)):
        yield word[:at] + word[at + 1 :]
        yield from (word[:at] + letter + word[at + 1 :] for letter in letters)
        if at + 1 < len(word):
            yield word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    for at in range(len(word) + 1):
        yield from (word[:at] + letter + word[at:] for letter in letters)
    for old, new in _SOUNDS:
        if old in word:
            yield word.replace(old, new, 1)


def _misspelled(product: str, rng: random.Random) -> str:
    words = product.split()
    at = rng.randrange(2)
    words[at] = slip(words[at], rng)
    if rng.random() < 0.3:
        words[1 - at] = slip(words[1 - at], rng)
    name = rng.choice((" ", " ", " ", " ", "-")).join(words)
    return name.lower() if rng.random() < 0.5 else name


def slip(word: str, rng: random.Random) -> str:
    """Return a word with one typing error; its first letter stays."""
    if len(word) < 3:
        return word
    kind = rng.randrange(4)
    at = rng.randrange(1, len(word) - 1)
    if kind == 0:
        return word[:at] + word[at + 1 :]
    if kind == 1:
        return word[:at] + word[at] + word[at:]
    if kind == 2:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    rest = word[1:]
    changed = [word[0] + rest.replace(old, new, 1) for old, new in _SOUNDS if old in rest]
    return rng.choice(changed) if changed else word[:at] + word[at] + word[at:]
