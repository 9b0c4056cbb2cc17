"""Answers prompts, each by a request of its own, and judges the answers."""

import dataclasses
from collections.abc import Iterator, Sequence

from components.synth_data_gen.consistency import Agreed, majority, medoid
from components.synth_data_gen.filters.row_filter import RowFilter
from components.synth_data_gen.quality import QualityFilter
from components.synth_data_gen.requests import RequestBuilder
from components.synth_data_gen.rows import Candidate
from components.synth_data_gen.schemas import Answer
from components.synth_data_gen.service import gather
from core.synthetic_records import Dropped
from service_llm.types import Request, Result, ServiceClient
from task.examples import Examples
from task.form import OutputForm
from task.nearest import Embed


class Answerer:
    """Gives candidates their outputs.

    Args:
        service: The service LLM.
        builder: Makes the requests; its seeds are the demonstrations to pick from.
        form: What outputs look like.
        embed: Turns texts into vectors, by which the nearest seeds are found; None for TF-IDF.
        row_filter: Compares rows by their outputs; None leaves that out.
    """

    def __init__(
        self,
        service: ServiceClient,
        builder: RequestBuilder,
        form: OutputForm,
        embed: Embed | None = None,
        row_filter: RowFilter | None = None,
    ) -> None:
        self._service = service
        self._builder = builder
        self._settings = builder.settings
        self._form = form
        self._quality = QualityFilter(service, builder, form)
        self._row_filter = row_filter
        self._examples = Examples(builder.seeds, embed)

    def answer(self, candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Dropped]]:
        """Answer candidates and let pass what has the right form, is agreed on and good.

        Returns:
            The candidates with output and scores, in the given order, and the others.
        """
        passed, dropped = self._answered(candidates)
        return self._checked(passed, dropped)

    def check(self, candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Dropped]]:
        """Let pass candidates whose given outputs have the right form and are good.

        Logged exchanges, which come with their outputs, are scored unless the settings say not.

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
        return self._checked(passed, dropped, is_scored=self._settings.score_logged)

    def _checked(
        self, candidates: list[Candidate], dropped: list[Dropped], *, is_scored: bool = True
    ) -> tuple[list[Candidate], list[Dropped]]:
        """Apply the filters that need an output.

        What needs no other new row comes before the filter that costs requests. Facts told twice
        come after it: of two rows the earlier one is kept, and must be one that is good.
        """
        passed: list[Candidate] = []
        for candidate in candidates:
            if self._row_filter and (refused := self._row_filter.refuse(candidate)):
                dropped.append(refused)
            else:
                passed.append(candidate)
        if self._settings.quality_filter and is_scored:
            passed, more = self._quality.apply(passed)
            dropped += more
        if self._row_filter:
            passed, more = self._row_filter.apply(passed)
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
        shown = self._examples.shown(
            [candidate.prompt for candidate in candidates],
            wanted=self._settings.examples_per_request,
            tokens=self._settings.max_example_tokens,
        )
        for number, (candidate, examples) in enumerate(zip(candidates, shown, strict=True)):
            yield from self._builder.answers(candidate.prompt, examples, tag=str(number))

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
