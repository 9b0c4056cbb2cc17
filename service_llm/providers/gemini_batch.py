"""The Gemini Batch API of Google AI Studio, with requests and replies in files, by key.

Requests that are sent inline come back without their metadata, and not in their order
(https://github.com/googleapis/python-genai/issues/1886 and 1909), so nothing tells which reply is
whose. In files every line has its key.

Source: https://ai.google.dev/gemini-api/docs/batch-api
"""

import collections
import contextlib
import io
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx
import pydantic
from google.genai import errors as genai_errors

from service_llm.batch_jobs import BatchReply, JobLostError
from service_llm.errors import (
    AuthenticationError,
    CreditError,
    NotAcceptedError,
    QuotaError,
    TransientError,
)
from service_llm.providers.gemini import GeminiClient
from service_llm.providers.refusals import Refusal, error_in_reply
from service_llm.providers.replies import read_gemini
from service_llm.providers.statuses import status_named
from service_llm.secrets import without
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Request

_NOT_FOUND = 404
_GONE = {403, 404, 410}  # of a file: https://github.com/googleapis/python-genai/issues/1218
_LOST = {"FAILED", "CANCELLED", "EXPIRED"}
_ENDED = {"SUCCEEDED", "PARTIALLY_SUCCEEDED"}
_FILE_TYPE = "application/jsonl"
_SERVER_ERROR = 500
_MAY_PASS = {408, 429, *range(_SERVER_ERROR, 600)}
_MOST_DOWNLOADS = 10  # of a file in which no reply can be read: some four minutes
_WELL = {"", "OK", "SUCCEEDED"}


class _Sent(NamedTuple):
    """A request of a job of this process, and its `generationConfig` without the schema."""

    request: Request
    config: Mapping[str, Any]


class GeminiBatches:
    """Batch jobs of the Gemini API; see `BatchProvider`."""

    def __init__(self, settings: ServiceLLMSettings) -> None:
        self._model = settings.model
        self._client = GeminiClient(settings)
        self._sent: dict[str, dict[str, _Sent]] = {}  # by job and key
        self._unreadable: collections.Counter[str] = collections.Counter()
        self._operation: Mapping[str, Any] = {}  # that the latest response told of
        self._client.check_every_call(self._check)

    def submit(self, requests: Mapping[str, Request], name: str) -> str:
        """Start a job; returns its resource name."""
        sent: dict[str, _Sent] = {}
        lines = (self._line(key, request, sent) for key, request in requests.items())
        text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
        content = io.BytesIO(text.encode())
        with self._client.translated_errors():
            file = self._client.api.files.upload(
                file=content, config={"display_name": name, "mime_type": _FILE_TYPE}
            )
            if not file.name:
                raise TransientError(f"{self._model}: the upload of a batch brought no file.")
            job = self._client.api.batches.create(
                model=self._model, src=file.name, config={"display_name": name}
            )
        if not job.name:
            raise TransientError(f"{self._model}: the service named no batch job.")
        self._sent[job.name] = sent
        return job.name

    def find(self, name: str) -> str | None:
        """Return the resource name of the job with this display name."""
        with self._client.translated_errors():
            for job in self._client.api.batches.list():
                if job.display_name == name and job.name:
                    return job.name
        return None

    def replies(self, job: str) -> list[BatchReply] | None:
        """Return the replies of a job that has ended."""
        sent = self._sent.get(job, {})
        with self._client.translated_errors():
            operation = self._operation_of(job)
            metadata = _fields(operation.get("metadata"))
            state = str(metadata.get("state") or "").rpartition("STATE_")[2]
            if state in _LOST:
                return self._refused_as_a_whole(state, operation.get("error"), sent)
            if state not in _ENDED:
                return None
            output = _fields(metadata.get("output") or operation.get("response"))
            if file := output.get("responsesFile"):
                replies = [self._reply(line, sent) for line in self._lines(job, str(file))]
            else:
                # Of an earlier version's job that was sent inline, or of a small one.
                # https://github.com/maximhq/bifrost/issues/3951
                inline = _fields(output.get("inlinedResponses")).get("inlinedResponses") or []
                replies = [self._reply(_keyed(_fields(item)), sent) for item in inline]
        self._sent.pop(job, None)
        return replies

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _operation_of(self, job: str) -> Mapping[str, Any]:
        """Return a job as the service tells of it.

        google-genai leaves out its error, and refuses a whole job for one field that is odd.
        """
        self._operation = {}
        try:
            with contextlib.suppress(pydantic.ValidationError):
                self._client.api.batches.get(name=job)
        except genai_errors.APIError as error:
            if error.code == _NOT_FOUND:
                raise JobLostError("the service does not know it any more") from error
            raise
        if not self._operation:
            raise TransientError(f"{self._model}: the service told nothing of the batch job {job}.")
        return self._operation

    def _check(self, response: httpx.Response) -> None:
        """Raise the error that a response of status 200 is as a whole.

        A job has a name, and its error is the job's own; a line of a job's replies has a key. An
        error without a key as a whole file is such a line, unless it names a status that may pass.
        """
        try:
            body = json.loads(response.content)
        except (ValueError, RecursionError):
            return
        if {"name", "key"} & set(_fields(body)):
            self._operation = body
        elif refusal := error_in_reply(body):
            is_file = response.request.url.path.endswith(":download")
            if is_file and status_named(body) not in _MAY_PASS:
                return
            raise genai_errors.APIError(refusal.status, refusal.body, response)

    def _refused_as_a_whole(
        self, state: str, error: object, sent: Mapping[str, _Sent]
    ) -> list[BatchReply]:
        """Return the failures of all requests of a job, if they are worth sending again.

        Raises:
            JobLostError: They are not.
        """
        failed = [self._failed(key, error, one) for key, one in sent.items()]
        if any(item.is_adapted for item in failed):
            return failed
        reason = without(self._client.key, Refusal(_SERVER_ERROR, error).text)
        raise JobLostError(f"it ended as {state}" + (f" ({reason})" if reason else ""))

    def _line(self, key: str, request: Request, sent: dict[str, _Sent]) -> dict[str, object]:
        config = self._client.parameters.of(request)
        prompt = self._client.parameters.prompt_of(request)
        sent[key] = _Sent(request, {n: None if "Schema" in n else v for n, v in config.items()})
        body: dict[str, object] = {
            "contents": [{"role": "user", "parts": [{"text": prompt}]}],
            "generationConfig": config,
        }
        if request.system:
            body["systemInstruction"] = {"parts": [{"text": request.system}]}
        return {"key": key, "request": body}

    def _lines(self, job: str, file: str) -> list[Mapping[str, Any]]:
        """Return the lines of a job's file of replies; one that cannot be read is empty.

        Raises:
            JobLostError: It is gone, or was something else each time it was asked for.
        """
        try:
            content = self._client.api.files.download(file=file).strip()
            lines = [_object(line) for line in content.split(b"\n") if line.strip()]
            if any(lines) or not lines:
                return lines
            raise TransientError(f"{self._model}: a job's file of replies holds no JSON.")
        except genai_errors.APIError as error:
            if error.code in _GONE:
                raise JobLostError(f"its file of replies is gone ({error.message})") from error
            raise
        except TransientError as error:
            self._unreadable[job] += 1
            if self._unreadable[job] >= _MOST_DOWNLOADS:
                raise JobLostError(f"its file of replies cannot be read ({error})") from error
            raise

    def _reply(self, item: Mapping[str, Any], sent: Mapping[str, _Sent]) -> BatchReply:
        key, response = item.get("key"), item.get("response")
        key = key if isinstance(key, str) else None
        response = response if isinstance(response, dict) else {}
        said = (item.get("error"), item.get("status"), response.get("error"))
        error = next(filter(_is_failure, said), None)
        if error is None and response:
            try:
                return BatchReply(key, read_gemini(response, self._model))
            except TransientError as unreadable:
                return BatchReply(key, None, str(unreadable))
        return self._failed(key, _with_body(error), sent.get(key or ""))

    def _failed(self, key: str | None, error: object, sent: _Sent | None) -> BatchReply:
        status = status_named(error, has_rpc_codes=True) or _SERVER_ERROR
        refusal = Refusal(status, error or "no reply and no error")
        if sent and self._client.parameters.learn(refusal, *sent):
            return BatchReply(key, None, refusal.text, is_adapted=True)
        meant = self._client.translated(refusal)
        words = meant.reason if isinstance(meant, NotAcceptedError) and meant.reason else str(meant)
        if isinstance(meant, AuthenticationError | CreditError | QuotaError):
            return BatchReply(key, None, words, is_permanent=True, ends_run=meant)
        return BatchReply(key, None, words, not isinstance(meant, TransientError))


def _keyed(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an inline reply with its key in the place where a file has it."""
    return {**item, "key": _fields(item.get("metadata")).get("key")}


def _object(line: bytes) -> Mapping[str, Any]:
    try:
        item = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return _fields(item)


def _fields(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_failure(error: object) -> bool:
    """Whether what stands where an error may stand is one: a status may say that all is well."""
    if isinstance(error, dict):
        return any(error.values())
    return isinstance(error, str) and error.strip().upper() not in _WELL


def _with_body(error: object) -> object:
    """Return an error as JSON where it is a text that ends in it, as in Vertex AI's output."""
    text, brace, rest = error.partition("{") if isinstance(error, str) else ("", "", "")
    if brace:
        with contextlib.suppress(ValueError, RecursionError):
            body = json.loads(brace + rest)
            is_named = status_named(body, has_rpc_codes=True) is not None
            return body if is_named else {**body, "status": text.partition(":")[0].strip()}
    return error
