"""Blocks keep text from data and models apart from the instructions of a request.

The key in a block's marks is unknown to whoever wrote the text, so the text cannot close its block.
It is the same in all requests of a kind, so that they begin alike and a provider can cache what
they share; what a model writes in reply to one kind of request is only shown in others.
"""

import hashlib
import hmac
import string

_LETTERS = 6  # 309 million keys; each letter costs tokens, twice in each block


def block_key(salt: bytes, kind: str) -> str:
    """Return the key of the blocks of a kind of request: stable, and unknown without the salt.

    Args:
        salt: The journal's salt.
        kind: What tells these requests from those whose replies they show.

    Returns:
        Six lower-case letters.
    """
    number = int.from_bytes(hmac.digest(salt, kind.encode(), hashlib.sha256))
    letters = []
    for _ in range(_LETTERS):
        number, letter = divmod(number, len(string.ascii_lowercase))
        letters.append(string.ascii_lowercase[letter])
    return "".join(letters)


def block(name: str, text: str, key: str) -> str:
    """Text between two marks that carry the key."""
    return f"<{name} {key}>\n{text}\n</{name} {key}>"
