"""The scores of a walk's pairs, asked for part by part."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Protocol

from core.captured import CapturedExchange
from core.errors import UserError
from judging.pairs import PairScore
from judging.requests import JudgedResponse
from serving.cutover.pairs import is_pair, judged_pair

_PART = 50  # pairs that are scored at a time


class Scorer(Protocol):
    """Scores pairs; `serving.cutover.scoring.PairScorer`."""

    def score(self, pairs: Sequence[JudgedResponse]) -> list[PairScore]:
        """Score pairs."""


class JudgeFailedError(Exception):
    """The judge scored nothing; `error` says why."""

    def __init__(self, error: UserError) -> None:
        super().__init__(str(error))
        self.error = error


class WalkScores:
    """Scores pairs in the order in which they came.

    Args:
        scorer: Scores them.

    Attributes:
        known: Scores by the exchange's id.
    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._waiting: deque[CapturedExchange] = deque()
        self.known: dict[str, PairScore] = {}

    def add(self, exchanges: Iterable[CapturedExchange]) -> None:
        """Take the pairs among exchanges, to be scored."""
        self._waiting.extend(exchange for exchange in exchanges if is_pair(exchange))

    @property
    def parts(self) -> int:
        """How often `score_part` has to be called for what waits now."""
        return -(-len(self._waiting) // _PART)

    def score_part(self) -> None:
        """Score some of what waits.

        Raises:
            JudgeFailedError: None of it is scored.
        """
        pairs = [self._waiting.popleft() for _ in range(min(_PART, len(self._waiting)))]
        try:
            scores = self._scorer.score([judged_pair(pair) for pair in pairs])
        except UserError as error:
            raise JudgeFailedError(error) from None
        self.known |= {pair.id: score for pair, score in zip(pairs, scores, strict=True)}
