"""Cuts texts into what the reader compares: words, word pairs and pieces of words."""

import itertools
import re

from standin.products import find_products

PRODUCT_MARK = "xproductx"
_WORDS = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_APOSTROPHES = str.maketrans({"\u2019": "'", "`": "'"})
_PIECE_CHARS = 4
_SHORT = {
    "u": "you",
    "ur": "your",
    "r": "are",
    "pls": "please",
    "plz": "please",
    "thx": "thanks",
    "tmrw": "tomorrow",
    "2moro": "tomorrow",
    "2day": "today",
    "cant": "can't",
    "wont": "won't",
    "dont": "don't",
    "doesnt": "doesn't",
    "cannot": "can't",
    "im": "i'm",
    "acct": "account",
    "pw": "password",
    "pwd": "password",
    "msg": "message",
    "wifi": "wifi",
    "b4": "before",
    "n": "and",
}


def words(text: str) -> list[str]:
    """Return the lower-case words of a text, product names masked, chat forms expanded."""
    pieces, end = [], 0
    for named in find_products(text):
        pieces += [text[end : named.start], f" {PRODUCT_MARK} "]
        end = named.end
    masked = "".join([*pieces, text[end:]]).translate(_APOSTROPHES).lower()
    return [_SHORT.get(word, word) for word in _WORDS.findall(masked)]


def features(found: list[str]) -> set[str]:
    """Return what a stretch of words is compared by."""
    made = {re.sub(r"\d+", "0", word) for word in found if word != PRODUCT_MARK}
    pairs = {f"{first} {second}" for first, second in itertools.pairwise(found)}
    pieces: set[str] = set()
    for word in found:
        padded = f"_{word}_"
        if len(padded) > _PIECE_CHARS and word != PRODUCT_MARK:
            pieces.update(
                f"~{padded[at : at + _PIECE_CHARS]}" for at in range(len(padded) - _PIECE_CHARS + 1)
            )
    return made | pairs | pieces
