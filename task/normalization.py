"""Text as it is compared: case, punctuation and forms of characters left out."""

import unicodedata


def normalize(text: str) -> str:
    """Case-folded words separated by one space, compatibility-normalized (NFKC).

    A text without letters and digits keeps its symbols: they are all it has.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    words = "".join(c if c.isalnum() or unicodedata.combining(c) else " " for c in folded).split()
    return " ".join(words) if words else " ".join(folded.split())


def words(text: str) -> list[str]:
    """Return the normalized words of a text."""
    return normalize(text).split()
