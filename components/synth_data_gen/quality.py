"""Has the service LLM solve each row once more, compare, and score it.

What it solved is a second sample: where it fills in another value of a closed set, it contradicts
the row whatever it says about it, as a judge may nod.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from components.synth_data_gen.requests import RequestBuilder
from components.synth_data_gen.rows import Candidate
from components.synth_data_gen.schemas import QualityScore
from components.synth_data_gen.service import gather
from core.synthetic_records import Dropped
from service_llm.types import Result, ServiceClient
from task.form import OutputForm
from task.form.values import loads

QUALITY, UNSCORED = "quality", "unscored"


class QualityFilter:
    """Drops rows that are wrong, ambiguous or useless.

    Args:
        service: The service LLM.
        builder: Makes the requests.
        form: What outputs look like.
    """

    def __init__(self, service: ServiceClient, builder: RequestBuilder, form: OutputForm) -> None:
        self._service = service
        self._builder = builder
        self._form = form

    def apply(self, candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Dropped]]:
        """Score candidates.

        Returns:
            The candidates with scores that are good, in the given order, and the others.
        """
        requests = (
            self._builder.score(candidate.prompt, candidate.output, tag=str(number))
            for number, candidate in enumerate(candidates)
        )
        replies = gather(self._service, requests, total=len(candidates), what="quality requests")
        passed: list[Candidate] = []
        dropped: list[Dropped] = []
        for number, candidate in enumerate(candidates):
            (result,) = replies[str(number)]
            judged = self._judge(candidate, result)
            (passed if isinstance(judged, Candidate) else dropped).append(judged)  # type: ignore[arg-type]
        return passed, dropped

    def _judge(self, candidate: Candidate, result: Result) -> Candidate | Dropped:
        value = result.value
        if not isinstance(value, QualityScore):
            detail = f"no score came back ({result.error})"
            return Dropped(UNSCORED, detail, candidate.prompt, candidate.output)
        own = self._form.tidy(value.own_output)
        scores = {
            **candidate.scores,
            QUALITY: float(value.score),
            "solved_alike": float(own == candidate.output),
        }
        contradiction = self._contradiction(candidate.output, own)
        if value.score >= self._builder.settings.quality_threshold and contradiction is None:
            return dataclasses.replace(candidate, scores=scores)
        detail = f"score {value.score}: {value.reason}"
        if contradiction is not None:
            detail = f"solved again with {contradiction}; {detail}"
        return Dropped(QUALITY, detail, candidate.prompt, candidate.output, scores=scores)

    def _contradiction(self, output: str, own: str) -> str | None:
        """Name a value of a closed set that the second output has otherwise."""
        if self._form.problem(own) is not None:
            return None
        if self._form.labels:
            return repr(own) if own != output else None
        if self._form.schema is None:
            return None
        return next(_differences(self._form.schema, loads(output), loads(own), ""), None)


def _differences(schema: Mapping[str, Any], one: Any, other: Any, path: str) -> Iterator[str]:
    kinds = schema.get("type", "anything")
    kinds = {kinds} if isinstance(kinds, str) else set(kinds)
    if "enum" in schema or kinds <= {"boolean", "null"}:
        if one != other:
            yield f"{path} {other!r}"
        return
    if not isinstance(one, dict) or not isinstance(other, dict):
        return
    for name, part in (schema.get("properties") or {}).items():
        if isinstance(part, Mapping):
            below = f"{path}.{name}" if path else name
            yield from _differences(part, one.get(name), other.get(name), below)
