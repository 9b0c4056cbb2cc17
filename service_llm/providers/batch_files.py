"""Where the files of Gemini's batch jobs are kept, and what a job looks like there."""

import io
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from google import genai
from google.genai import types as genai_types

from service_llm.errors import TransientError
from service_llm.providers.gemini import GeminiClient

_FILE_TYPE = "application/jsonl"


class Outcome(NamedTuple):
    """What a job has come to.

    Attributes:
        state: Such as `SUCCEEDED`; `JOB_STATE_` or `BATCH_STATE_` stands before it.
        error: Of the job as a whole.
        output: Its replies, or the `responsesFile` that holds them.
    """

    state: str
    error: object
    output: Mapping[str, object]


class BatchFiles(Protocol):
    """Files of one service."""

    def check(self) -> None:
        """Find what a job would fail at, as far as that costs nothing.

        Raises:
            UserError: Files cannot be kept where they should be.
            TransientError: Not now.
        """
        ...

    def line(self, key: str, body: Mapping[str, object]) -> Mapping[str, object]:
        """Return a request as a line of JSON, with its key."""
        ...

    def create(self, text: str, name: str) -> genai_types.BatchJob:
        """Start a job of lines under a display name."""
        ...

    def jobs_named(self, name: str) -> genai_types.ListBatchJobsConfig | None:
        """Return what to list jobs by where the service can look for a display name."""
        ...

    def outcome(self, operation: Mapping[str, object]) -> Outcome:
        """Return what a job has come to."""
        ...

    def download(self, file: str) -> bytes:
        """Return the lines of a `responsesFile`."""
        ...

    def keyed(self, item: Mapping[str, object]) -> Mapping[str, object]:
        """Return a line of replies with its key as `key`."""
        ...


class StudioFiles:
    """Files of Google AI Studio; see `BatchFiles`. Every line has its key.

    Source: https://ai.google.dev/gemini-api/docs/batch-api
    """

    def __init__(self, client: GeminiClient, model: str) -> None:
        self._api: genai.Client = client.api
        self._model = model

    def check(self) -> None:
        """Do nothing: the service keeps the files."""

    def line(self, key: str, body: Mapping[str, object]) -> Mapping[str, object]:
        """Return a request together with its key."""
        return {"key": key, "request": body}

    def create(self, text: str, name: str) -> genai_types.BatchJob:
        """Upload the requests, and start their job."""
        file = self._api.files.upload(
            file=io.BytesIO(text.encode()), config={"display_name": name, "mime_type": _FILE_TYPE}
        )
        if not file.name:
            raise TransientError(f"{self._model}: uploading the batch returned no file.")
        return self._api.batches.create(
            model=self._model, src=file.name, config={"display_name": name}
        )

    def jobs_named(self, name: str) -> genai_types.ListBatchJobsConfig | None:
        """Return None: this service lists all jobs."""
        return None

    def outcome(self, operation: Mapping[str, object]) -> Outcome:
        """Return what an operation has come to."""
        metadata, error = fields(operation.get("metadata")), operation.get("error")
        output = fields(metadata.get("output") or operation.get("response"))
        state = str(metadata.get("state") or "")
        if not state and operation.get("done"):
            state = "STATE_FAILED" if error else "STATE_SUCCEEDED"
        return Outcome(state, error, output)

    def download(self, file: str) -> bytes:
        """Return a file."""
        return self._api.files.download(file=file)

    def keyed(self, item: Mapping[str, object]) -> Mapping[str, object]:
        """Return the line as it is."""
        return item


def fields(value: object) -> Mapping[str, Any]:
    """Return an object of JSON; an empty one for anything else."""
    return value if isinstance(value, dict) else {}
