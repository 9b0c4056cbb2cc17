"""Which pairs are shown as examples, so that a prompt keeps to a budget of tokens."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

CHARACTERS_PER_TOKEN = 4  # of English, roughly, in every model's vocabulary


class _Pair(Protocol):
    @property
    def prompt(self) -> str: ...

    @property
    def output(self) -> str: ...


PairT = TypeVar("PairT", bound=_Pair)


def tokens_of(pair: _Pair) -> int:
    """Return the tokens of a pair, estimated from its characters."""
    return -(-(len(pair.prompt) + len(pair.output)) // CHARACTERS_PER_TOKEN)


def fitting(pairs: Iterable[PairT], *, tokens: int, count: int | None = None) -> list[PairT]:
    """Return the first pairs that fit together, in their order.

    Args:
        pairs: The best first.
        tokens: Of all together, as estimated; one pair is shown whatever its length.
        count: Pairs at most; None for as many as fit.
    """
    shown: list[PairT] = []
    left = tokens
    for pair in pairs:
        needed = tokens_of(pair)
        if len(shown) != count and (not shown or needed <= left):
            shown.append(pair)
            left -= needed
    return shown
