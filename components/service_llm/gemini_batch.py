"""The Gemini Batch API of Google AI Studio, with requests and replies inline.

Source: https://ai.google.dev/gemini-api/docs/batch-api
"""

from collections.abc import Sequence
from typing import Any

from google.genai import errors as genai_errors
from google.genai import types as genai_types

from components.service_llm.batch import JobLostError
from components.service_llm.gemini import GeminiClient, read_reply
from components.service_llm.settings import ServiceLLMSettings
from components.service_llm.types import Reply, Request

_NOT_FOUND = 404
_LOST = {"JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED"}
_ENDED = {"JOB_STATE_SUCCEEDED", "JOB_STATE_PARTIALLY_SUCCEEDED"}


class GeminiBatches:
    """Batch jobs of the Gemini API; see `BatchProvider`."""

    def __init__(self, settings: ServiceLLMSettings) -> None:
        self._model = settings.model
        self._client = GeminiClient(settings)

    def submit(self, requests: Sequence[Request], name: str) -> str:
        """Start a job; returns its resource name."""
        source = [
            genai_types.InlinedRequest(
                model=self._model,
                contents=request.prompt,
                config=self._client.config(request),
            )
            for request in requests
        ]
        with self._client.translated_errors():
            job = self._client.api.batches.create(
                model=self._model, src=source, config={"display_name": name}
            )
        return str(job.name)

    def find(self, name: str) -> str | None:
        """The resource name of the job with this display name."""
        with self._client.translated_errors():
            for job in self._client.api.batches.list():
                if job.display_name == name:
                    return str(job.name)
        return None

    def replies(self, job: str) -> list[Reply | None] | None:
        """The replies of a job that has ended."""
        with self._client.translated_errors():
            try:
                found = self._client.api.batches.get(name=job)
            except genai_errors.APIError as error:
                if error.code == _NOT_FOUND:
                    raise JobLostError("the service does not know it any more") from error
                raise
        state = found.state.name if found.state else ""
        if state in _LOST:
            reason = found.error.message if found.error else None
            raise JobLostError(f"it ended as {state}" + (f" ({reason})" if reason else ""))
        if state not in _ENDED:
            return None
        responses: list[Any] = (found.dest and found.dest.inlined_responses) or []
        with self._client.translated_errors():
            return [read_reply(item.response) if item.response else None for item in responses]

    def close(self) -> None:
        """Close the connections."""
        self._client.api.close()
