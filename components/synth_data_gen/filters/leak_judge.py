"""Finds paraphrases of coverage prompts that share no words with them: a judge LLM reads them.

After Yang et al. (2023), "Rethinking Benchmark and Contamination for Language Models with Rephrased
Samples" (https://arxiv.org/abs/2311.04850): the nearest coverage prompts of each candidate go with
it to a language model, which says whether it restates one of them. The judge sees the holdout when
it evaluates, so it may see it here; the generator never does.
"""

from collections.abc import Sequence

from components.synth_data_gen.requests import RequestBuilder
from components.synth_data_gen.rows import Candidate
from components.synth_data_gen.schemas import LeakVerdict
from components.synth_data_gen.service import gather
from core.conversation import user_text
from core.records import CoverageRow
from core.synthetic_records import Dropped
from service_llm.types import ServiceClient
from task.nearest import Embed, Nearest

JUDGED_LEAK = "judged_leak"
UNJUDGED = "unjudged"


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
        self._nearest = Nearest([user_text(row.prompt) for row in coverage], embed)

    def apply(self, candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Dropped]]:
        """Let pass what restates no coverage prompt; one that could not be judged does not pass.

        Returns:
            The candidates that passed, in the given order, and the others.
        """
        if not candidates:
            return [], []
        texts = [user_text(candidate.prompt) for candidate in candidates]
        shown = [
            [self._coverage[row] for row in rows]
            for rows in self._nearest.of(texts, self._builder.settings.leak_judge_rows)
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
