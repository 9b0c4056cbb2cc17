"""Reads a request's blocks: data between marks that carry a key."""

import re
from typing import NamedTuple

_OPENING = re.compile(r"<[a-z_]+[0-9]*(?: ([a-z]{6}))?>\n")


class Blocks(NamedTuple):
    """A request taken apart.

    Attributes:
        found: Name and text of every block, in order.
        outside: What stands around the blocks: the request's own instructions, and whatever broke
            out of a block.
        key: The key of all blocks; empty where the request's blocks carry none.
    """

    found: list[tuple[str, str]]
    outside: str
    key: str

    def texts(self, name: str) -> list[str]:
        """Return the texts of all blocks of one name."""
        return [text for found, text in self.found if found == name]

    def text(self, name: str) -> str:
        """Return the text of the one block of this name.

        Raises:
            ValueError: There is none.
        """
        texts = self.texts(name)
        if not texts:
            raise ValueError(f"the request has no {name!r} block")
        return texts[0]


def read_blocks(prompt: str) -> Blocks:
    """Take a request apart.

    The first block's key is the request's key: what carries another one, or none, is text. A
    request without keys is read as well, as any model would, with all that this invites.
    """
    opening = _OPENING.search(prompt)
    key = (opening.group(1) or "") if opening else ""
    mark = f" {key}" if key else ""
    pattern = re.compile(rf"<([a-z_]+[0-9]*){mark}>\n(.*?)\n</\1{mark}>", re.DOTALL)
    found = [(match.group(1), match.group(2)) for match in pattern.finditer(prompt)]
    return Blocks(found, pattern.sub("", prompt), key)
