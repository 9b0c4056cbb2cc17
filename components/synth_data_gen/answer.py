"""Answers prompts, each by a request of its own, and judges the answers."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from components.synth_data_gen.consistency import Agreed, majority, medoid
from components.synth_data_gen.requests import RequestBuilder
from components.synth_data_gen.rows import Candidate
from components.synth_data_gen.schemas import Answer, QualityScore
from components.synth_data_gen.service import gather
from core.conversation import user_text
from core.synthetic_records import Dropped
from service_llm.types import Request, Result, ServiceClient
from task.form import OutputForm
from task.similarity import similarity_matrix

_CHUNK = 256  # prompts compared with the seeds at once


class Answerer:
    """Gives candidates their outputs.

    Args:
        service: The service LLM.
        builder: Makes the requests; its seeds are the demonstrations to pick from.
        form: What outputs look like.
    """

    def __init__(self, service: ServiceClient, builder: RequestBuilder, form: OutputForm) -> None:
        self._service = service
        self._builder = builder
        self._settings = builder.settings
        self._form = form
        self._seeds = builder.seeds

    def answer(self, candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Dropped]]:
        """Answer candidates and let pass what has the right form, is agreed on and good.

        Returns:
            The candidates with output and scores, in the given order, and the others.
        """
        passed, dropped = self._answered(candidates)
        if self._settings.quality_filter:
            passed, more = self._scored(passed)
            dropped += more
        return passed, dropped

    def check(self, candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Dropped]]:
        """Let pass candidates whose given outputs have the right form and are good.

        Returns:
            The candidates with tidied outputs, in the given order, and the others.
        """
        passed: list[Candidate] = []
        dropped: list[Dropped] = []
        for candidate in candidates:
            output = self._form.tidy(candidate.output)
            if problem := self._form.problem(output):
                dropped.append(Dropped("form", problem, candidate.prompt, output))
            else:
                passed.append(dataclasses.replace(candidate, output=output))
        if self._settings.quality_filter:
            passed, more = self._scored(passed)
            dropped += more
        return passed, dropped

    def _answered(self, candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Dropped]]:
        replies = gather(
            self._service,
            self._requests(candidates),
            total=len(candidates) * self._settings.samples,
            what="answer requests",
        )
        passed: list[Candidate] = []
        dropped: list[Dropped] = []
        for number, candidate in enumerate(candidates):
            judged = self._judge(candidate, replies[str(number)])
            (passed if isinstance(judged, Candidate) else dropped).append(judged)  # type: ignore[arg-type]
        return passed, dropped

    def _requests(self, candidates: Sequence[Candidate]) -> Iterator[Request]:
        """Yield requests whose demonstrations are the seeds most like the message, nearest last."""
        shown = min(self._settings.examples_per_request, len(self._seeds))
        prompts = [user_text(seed.prompt) for seed in self._seeds]
        for start in range(0, len(candidates), _CHUNK):
            chunk = [candidate.prompt for candidate in candidates[start : start + _CHUNK]]
            texts = [user_text(prompt) for prompt in chunk]
            for offset, similar in enumerate(similarity_matrix(texts, prompts)):
                nearest = np.argsort(-similar, kind="stable")[:shown][::-1]
                examples = [self._seeds[row] for row in nearest]
                yield from self._builder.answers(chunk[offset], examples, tag=str(start + offset))

    def _judge(self, candidate: Candidate, replies: Sequence[Result]) -> Candidate | Dropped:
        outputs = [
            self._form.tidy(reply.value.output)
            for reply in replies
            if isinstance(reply.value, Answer)
        ]
        if not outputs:
            reason = replies[0].error or "bad_output"
            return Dropped(reason, "no answer came back", candidate.prompt, replies[0].raw)
        problems = [self._form.problem(output) for output in outputs]
        formed = [o for o, problem in zip(outputs, problems, strict=True) if problem is None]
        if not formed:
            return Dropped("form", problems[0] or "", candidate.prompt, outputs[0])
        agreed = self._agreed(formed, len(replies))
        scores = {**candidate.scores, "agreement": float(f"{agreed.agreement:.3f}")}
        if agreed.agreement < self._settings.min_agreement:
            detail = f"agreement {agreed.agreement:.2f} over {len(replies)} samples"
            return Dropped("inconsistent", detail, candidate.prompt, agreed.output, scores=scores)
        return dataclasses.replace(
            candidate,
            output=agreed.output,
            scores=scores,
            output_model_version=replies[0].model_version,
        )

    def _agreed(self, formed: Sequence[str], samples: int) -> Agreed:
        """Pick the answer to keep; a sample without one in the right form agrees with none."""
        repeats = self._form.schema is not None or bool(self._form.labels)
        chosen = majority(formed) if repeats else medoid(formed)
        return Agreed(chosen.output, chosen.agreement * len(formed) / samples)

    def _scored(self, candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Dropped]]:
        requests = (
            self._builder.score(candidate.prompt, candidate.output, tag=str(number))
            for number, candidate in enumerate(candidates)
        )
        replies = gather(self._service, requests, total=len(candidates), what="quality requests")
        passed: list[Candidate] = []
        dropped: list[Dropped] = []
        for number, candidate in enumerate(candidates):
            (result,) = replies[str(number)]
            if not isinstance(result.value, QualityScore):
                detail = f"no score came back ({result.error})"
                dropped.append(Dropped("unscored", detail, candidate.prompt, candidate.output))
                continue
            score = result.value.score
            scores = {**candidate.scores, "quality": float(score)}
            if score < self._settings.quality_threshold:
                detail = f"score {score}: {result.value.reason}"
                dropped.append(
                    Dropped("quality", detail, candidate.prompt, candidate.output, scores=scores)
                )
                continue
            passed.append(dataclasses.replace(candidate, scores=scores))
        return passed, dropped
