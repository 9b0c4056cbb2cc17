"""Picks the pairs that a request shows as examples: for synthesis and for the baselines alike."""

from collections.abc import Sequence
from typing import Generic

from core.conversation import user_text
from core.example_budget import PairT, examples_shown, fitting
from task.nearest import Embed, Nearest

_RANKED = 256  # of the nearest pairs, so many are tried until enough fit


class Examples(Generic[PairT]):
    """Pairs to show some of.

    Args:
        pairs: The pairs, in the order in which they are shown where all are.
        embed: Turns texts into vectors, by which the nearest pairs are found; None for TF-IDF.
    """

    def __init__(self, pairs: Sequence[PairT], embed: Embed | None = None) -> None:
        self._pairs = pairs
        self._nearest = Nearest([user_text(pair.prompt) for pair in pairs], embed)

    def shown(
        self, prompts: Sequence[str], *, wanted: int | None, tokens: int
    ) -> list[list[PairT]]:
        """Return what is shown with each prompt, never a pair of that prompt itself.

        All of few pairs, always in one order, so that a provider can cache them; of more the most
        similar ones, the nearest last.

        Args:
            prompts: The prompts to be answered.
            wanted: Pairs to show; None for the usual number.
            tokens: Budget of the pairs of one prompt.
        """
        count = examples_shown(wanted, len(self._pairs))
        if count >= len(self._pairs):
            return [
                fitting(self._without(prompt, self._pairs), tokens=tokens) for prompt in prompts
            ]
        texts = [user_text(prompt) for prompt in prompts]
        ranked = self._nearest.of(texts, max(count + 1, _RANKED))
        return [
            fitting(
                self._without(prompt, [self._pairs[n] for n in numbers]), count=count, tokens=tokens
            )[::-1]
            for prompt, numbers in zip(prompts, ranked, strict=True)
        ]

    @staticmethod
    def _without(prompt: str, pairs: Sequence[PairT]) -> list[PairT]:
        return [pair for pair in pairs if pair.prompt != prompt]
