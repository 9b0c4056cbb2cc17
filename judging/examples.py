"""Which seed pairs the service LLM is shown when it answers coverage prompts.

Its own answers are the ceiling of a model that learns from it, so it is asked as SynthDataGen asks:
by the same text, with as many pairs in the same budget. But a coverage row is never shown itself,
and the most similar pairs are found by TF-IDF, also where an embedding model is configured.
"""

import functools
import hashlib
import heapq
from collections.abc import Sequence

from core.conversation import has_turns
from core.records import SEED_SPLIT, ResponseRow
from judging.settings import EvaluatorSettings
from task.examples import Examples

_MAX_POOL = 256


class ExamplePool:
    """The seeds that examples are picked from: all, or of very many a fixed part.

    Args:
        rows: The coverage dataset, as some model's response rows.
    """

    def __init__(self, rows: Sequence[ResponseRow]) -> None:
        seeds = list({row.id: row for row in rows if row.split == SEED_SPLIT}.values())
        self.has_conversations = any(has_turns(seed.prompt) for seed in seeds)
        self.answer_tokens = max((2 * len(seed.output) for seed in seeds), default=0)
        """Generous room for an answer as long as the longest seed: a token per half character. It
        costs nothing unless it is used; the service's own limit caps it."""
        if len(seeds) > _MAX_POOL:
            seeds = heapq.nsmallest(_MAX_POOL, seeds, key=_rank)
        self.seeds = sorted(seeds, key=lambda seed: seed.id)

    def shown(self, row: ResponseRow, settings: EvaluatorSettings) -> list[ResponseRow]:
        """Return the pairs shown with a row's prompt, never the row itself; see `Examples`.

        Args:
            row: The coverage row to be answered.
            settings: How many are shown, and their budget of tokens.
        """
        (shown,) = self._examples.shown(
            [row.prompt],
            wanted=settings.baseline_examples,
            tokens=settings.max_example_tokens,
        )
        return shown

    @functools.cached_property
    def _examples(self) -> Examples[ResponseRow]:
        return Examples(self.seeds)


def _rank(seed: ResponseRow) -> bytes:
    return hashlib.sha256(seed.id.encode()).digest()
