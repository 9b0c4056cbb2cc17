"""Blocks keep text from data and models apart from the instructions of a request.

The key in a block's marks is unknown to whoever wrote the text, so the text cannot close its block.
"""

import hashlib
import hmac


def block_key(salt: bytes, *parts: str) -> str:
    """Return the key of a request's blocks: stable, and unpredictable without the salt.

    Args:
        salt: The journal's salt.
        *parts: What tells this request from others.

    Returns:
        16 hexadecimal digits.
    """
    message = "\0".join(parts).encode()
    return hmac.new(salt, message, hashlib.sha256).hexdigest()[:16]


def block(name: str, text: str, key: str) -> str:
    """Text between two marks that carry the key."""
    return f'<{name} key="{key}">\n{text}\n</{name} key="{key}">'
