"""Which pairs are shown as examples, so that a prompt keeps to a budget of tokens."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

_CHARACTERS_PER_TOKEN = 4  # of English, roughly, in every model's vocabulary


class _Pair(Protocol):
    @property
    def prompt(self) -> str: ...

    @property
    def output(self) -> str: ...


PairT = TypeVar("PairT", bound=_Pair)


def fitting(pairs: Iterable[PairT], *, count: int, tokens: int) -> list[PairT]:
    """Return the first pairs that fit together, in their order.

    Args:
        pairs: The best first.
        count: Pairs at most.
        tokens: Of all together, estimated from their characters; one pair is shown whatever its
            length.
    """
    shown: list[PairT] = []
    left = tokens * _CHARACTERS_PER_TOKEN
    for pair in pairs:
        length = len(pair.prompt) + len(pair.output)
        if len(shown) < count and (not shown or length <= left):
            shown.append(pair)
            left -= length
    return shown
