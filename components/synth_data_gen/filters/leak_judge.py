"""Finds paraphrases of coverage prompts that share no words with them: a judge LLM reads them.

After Yang et al. (2023), "Rethinking Benchmark and Contamination for Language Models with Rephrased
Samples" (https://arxiv.org/abs/2311.04850): the nearest coverage prompts of each candidate go with
it to a language model, which says whether it restates one of them. The judge sees the holdout when
it evaluates, so it may see it here; the generator never does.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from components.synth_data_gen.requests import RequestBuilder
from components.synth_data_gen.rows import Candidate
from components.synth_data_gen.schemas import LeakVerdict
from components.synth_data_gen.service import gather
from core.conversation import user_text
from core.records import CoverageRow
from core.synthetic_records import Dropped
from service_llm.types import ServiceClient
from task.normalization import normalize

JUDGED_LEAK = "judged_leak"
UNJUDGED = "unjudged"
_GRAM_CHARS = (3, 5)
_BLOCK_ROWS = 1000  # similarities computed at once, to bound memory

Vectors = npt.NDArray[np.float32]
Embed = Callable[[list[str]], npt.ArrayLike]


class LeakJudge:
    """Asks the judge about candidates.

    Args:
        judge: The judge LLM; never the one that generates.
        builder: Makes the requests.
        coverage: Seeds and holdout rows.
        embed: Turns texts into vectors, by which the nearest rows are found; None for TF-IDF.
    """

    def __init__(
        self,
        judge: ServiceClient,
        builder: RequestBuilder,
        coverage: Sequence[CoverageRow],
        embed: Embed | None = None,
    ) -> None:
        self._judge = judge
        self._builder = builder
        self._coverage = coverage
        self._embed = embed

    def apply(self, candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Dropped]]:
        """Let pass what restates no coverage prompt; one that could not be judged does not pass.

        Returns:
            The candidates that passed, in the given order, and the others.
        """
        if not candidates:
            return [], []
        shown = [
            [self._coverage[row] for row in rows]
            for rows in self._nearest([candidate.prompt for candidate in candidates])
        ]
        requests = (
            self._builder.leak(candidate.prompt, rows, tag=str(number))
            for number, (candidate, rows) in enumerate(zip(candidates, shown, strict=True))
        )
        replies = gather(
            self._judge, requests, total=len(candidates), what="requests to the leak judge"
        )
        passed: list[Candidate] = []
        dropped: list[Dropped] = []
        for number, candidate in enumerate(candidates):
            (result,) = replies[str(number)]
            verdict = result.value
            if not isinstance(verdict, LeakVerdict) or verdict.same_as > len(shown[number]):
                detail = f"the leak judge gave no verdict ({result.error or 'no such message'})"
                dropped.append(Dropped(UNJUDGED, detail, candidate.prompt))
            elif verdict.same_as:
                # Its reason may quote a holdout prompt, so it does not get into the file.
                detail = "the leak judge found it to restate a coverage prompt"
                near = shown[number][verdict.same_as - 1].id
                dropped.append(Dropped(JUDGED_LEAK, detail, candidate.prompt, nearest_id=near))
            else:
                passed.append(candidate)
        return passed, dropped

    def _nearest(self, prompts: list[str]) -> list[list[int]]:
        """Return the numbers of the coverage rows that are nearest to each prompt."""
        count = min(self._builder.settings.leak_judge_rows, len(self._coverage))
        coverage = [user_text(row.prompt) for row in self._coverage]
        own_texts = [user_text(prompt) for prompt in prompts]
        texts, own = (_vectors if self._embed is None else self._embedded)(coverage, own_texts)
        nearest: list[list[int]] = []
        for start in range(0, len(prompts), _BLOCK_ROWS):
            similar = own[start : start + _BLOCK_ROWS] @ texts.T
            nearest += np.argsort(-similar, axis=1, kind="stable")[:, :count].tolist()
        return nearest

    def _embedded(self, coverage: list[str], prompts: list[str]) -> tuple[Vectors, Vectors]:
        assert self._embed is not None
        texts = list(dict.fromkeys([*coverage, *prompts]))
        vectors = np.asarray(self._embed(texts), dtype=np.float32)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        place = {text: number for number, text in enumerate(texts)}
        return vectors[[place[t] for t in coverage]], vectors[[place[t] for t in prompts]]


def _vectors(coverage: list[str], prompts: list[str]) -> tuple[Vectors, Vectors]:
    """Return TF-IDF vectors of character n-grams, which need no list of words."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        preprocessor=normalize, analyzer="char_wb", ngram_range=_GRAM_CHARS, dtype=np.float32
    )
    texts = vectorizer.fit_transform(coverage)
    return texts.toarray(), vectorizer.transform(prompts).toarray()
