"""How numbers stand in the text of a page: on one line with their unit, and with a real minus."""

import re

NO_BREAK_SPACE, _MINUS = "\u00a0", "\u2212"
_UNITS = "%|ms|s|min|h|MB|points?|million"
_GAP = re.compile(rf"(?<=\d) (?=(?:{_UNITS})(?!\w))")
_HYPHEN = re.compile(r"(?<![^\s(])-(?=\d)")


def typeset(text: str) -> str:
    """Set a sentence or a figure for a page.

    Only for what the code words: in what a user or a model wrote no character is changed.

    Args:
        text: As a terminal shows it, in ASCII.
    """
    return _HYPHEN.sub(_MINUS, _GAP.sub(NO_BREAK_SPACE, text))
