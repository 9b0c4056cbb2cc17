"""Web pages that come in place of JSON."""

import html
import re

_PAGE = re.compile(r"\s*<[!?a-z]", re.IGNORECASE)
_UNSEEN = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>", re.IGNORECASE | re.DOTALL)


def is_page(text: object) -> bool:
    """Whether a body is a page, or XML."""
    return isinstance(text, str) and _PAGE.match(text) is not None


def words_of_page(text: str) -> str:
    """Return what a page shows."""
    return " ".join(html.unescape(_UNSEEN.sub(" ", text)).split())
