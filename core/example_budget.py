"""Which pairs are shown as examples, and how, so that a prompt keeps to a budget of tokens."""

import json
import math
from collections.abc import Iterable
from typing import Protocol, TypeVar

from core.conversation import json_value

# Measured by `python -m benchmarks prompt_tokens`: 4.0 of English messages, 3.5 of JSON outputs. A
# budget is kept where a text has more tokens than most.
CHARACTERS_PER_TOKEN = 3.5


class _Pair(Protocol):
    @property
    def prompt(self) -> str: ...

    @property
    def output(self) -> str: ...


_ALL_SHOWN = 12  # seeds; of so few all are shown, in one order, so that a provider can cache them
FEW_SHOT_EXAMPLES = 6  # of more seeds

PairT = TypeVar("PairT", bound=_Pair)


def tokens_of(pair: _Pair) -> int:
    """Return the tokens of a pair, estimated from its characters."""
    return math.ceil((len(pair.prompt) + len(pair.output)) / CHARACTERS_PER_TOKEN)


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


def examples_shown(wanted: int | None, seeds: int) -> int:
    """Return how many seed pairs a request shows: as wanted, else all of a dozen, of more six."""
    if wanted is not None:
        return min(wanted, seeds)
    return seeds if seeds <= _ALL_SHOWN else FEW_SHOT_EXAMPLES


def example_line(pair: _Pair) -> str:
    """Return a pair as one line: the prompt as JSON, an arrow, and the output.

    An output of one line stands there as it is, since it is to be imitated; one of several lines,
    or one that could be taken for JSON text, is JSON, too.
    """
    output = pair.output
    if len(output.splitlines()) != 1 or output.startswith('"'):
        output = json.dumps(output, ensure_ascii=False)
    return f"{json.dumps(json_value(pair.prompt), ensure_ascii=False)} => {output}"
