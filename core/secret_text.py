"""Takes a secret out of texts that may quote it, as some servers' error messages do."""

import base64
import functools
import re
from urllib.parse import quote, quote_plus

_MIN_BEGINNING = 8  # characters: shorter ones may be words
_ESCAPE = re.compile("%[0-9A-F]{2}")


def without(secret: str | None, text: str, mark: str = "[key]") -> str:
    """Return a text without a secret.

    Left out are the secret, its forms in URLs and in Base64, and its beginning at the end of the
    text, where a message was cut off.

    Args:
        secret: What must not be shown; None or empty where there is nothing to hide.
        text: What a server has said.
        mark: Stands in the secret's place.
    """
    if not secret:
        return text
    for form in _forms(secret):
        text = text.replace(form, mark)
    for length in range(len(secret) - 1, _MIN_BEGINNING - 1, -1):
        if text.endswith(secret[:length]):
            return text[:-length] + mark
    return text


@functools.lru_cache(maxsize=16)
def _forms(secret: str) -> tuple[str, ...]:
    """Return how a secret may be written, the longest first."""
    quoted = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    lower = {_ESCAPE.sub(lambda found: found.group().lower(), form) for form in quoted}
    data = secret.encode()
    encoded = {base64.b64encode(data), base64.urlsafe_b64encode(data)}
    texts = {form.decode().rstrip("=") for form in encoded}
    return tuple(sorted({secret} | quoted | lower | texts, key=len, reverse=True))
