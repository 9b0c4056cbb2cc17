"""Opens the judge of a preset, and scores pairs of answers with it."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence

from core.errors import UserError
from core.usage import Usage
from judging.pairs import PairScore, score_pairs
from judging.requests import JudgedResponse, RequestBuilder
from judging.scorers import needs_embedder
from service_llm.client import ServiceLLM, open_service_llm
from service_llm.cost import cost_usd, price_of
from service_llm.embedding import Embedder, open_embedder, usage_of
from service_llm.settings import Price
from service_llm.types import Reply, Request, Result
from serving.preset import JudgingPreset, ServedPreset


class PairScorer:
    """Scores pairs with the judge and the scorers of a preset.

    Args:
        preset: The preset.
        judging: Its judge.
        llm: The judge's client.
        embed: The embedding model; None where none is configured.

    Attributes:
        name: Of the scorer that decides.
        pairs_cost_usd: What judging the latest pairs took, whenever it was paid for; None where the
            price is unknown.
    """

    def __init__(
        self, preset: ServedPreset, judging: JudgingPreset, llm: ServiceLLM, embed: Embedder | None
    ) -> None:
        self._llm = llm
        self._price = price_of(judging.judge)
        self._embed = embed
        self._builder = RequestBuilder(preset.task, judging.evaluator, llm.salt())
        self.pairs_cost_usd: float | None = None
        self.name = judging.evaluator.gate.scorer

    def score(self, pairs: Sequence[JudgedResponse]) -> list[PairScore]:
        """Score pairs; what was judged before is in the journal and costs nothing.

        Raises:
            UserError: The judge fails; what it has answered is kept.
        """
        counted = _CountedClient(self._llm)
        scores = score_pairs(pairs, counted, self._builder, self._embed)
        self.pairs_cost_usd = counted.cost_usd(self._price)
        return scores

    def used(self) -> Usage:
        """Return what all of its requests used, earlier ones included."""
        return self._llm.usage() + usage_of(self._embed)


class _CountedClient:
    """Counts the tokens of replies, those from the journal included, which say what they took."""

    def __init__(self, llm: ServiceLLM) -> None:
        self._llm = llm
        self._replies: list[Reply] = []

    def map(self, requests: Iterable[Request]) -> Iterator[Result]:
        for result in self._llm.map(requests):
            if result.reply:
                self._replies.append(result.reply)
            yield result

    def cost_usd(self, price: Price | None) -> float | None:
        if price is None or not all(reply.usage_known for reply in self._replies):
            return None
        prompt = sum(reply.prompt_tokens for reply in self._replies)
        return cost_usd(price, prompt, sum(reply.output_tokens for reply in self._replies))


@contextlib.contextmanager
def open_scorer(preset: ServedPreset, component: str) -> Iterator[PairScorer]:
    """Open the judge of a preset.

    Args:
        preset: With `judging`.
        component: Under which its usage is counted.

    Raises:
        UserError: The judge cannot be used.
    """
    judging = preset.judging
    if judging is None:
        raise UserError(f"The preset {preset.preset} has no judge. Set `judge` to a service LLM.")
    scorer = judging.evaluator.gate.scorer
    if judging.embedder is None and needs_embedder(scorer):
        raise UserError(f"evaluator.gate.scorer is {scorer!r}, and there is no `embedder`.")
    with (
        open_service_llm(
            judging.judge, journal_uri=judging.journal_uri, component=component, round=0
        ) as llm,
        open_embedder(
            judging.embedder, journal_uri=judging.journal_uri, component=component, round=0
        ) as embed,
    ):
        yield PairScorer(preset, judging, llm, embed)
