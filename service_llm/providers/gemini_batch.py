"""The Gemini Batch API of Google AI Studio, with requests and replies in files, by key.

Requests that are sent inline come back without their metadata, and not in their order
(https://github.com/googleapis/python-genai/issues/1886 and 1909), so nothing tells which reply is
whose. In files every line has its key.

Source: https://ai.google.dev/gemini-api/docs/batch-api
"""

import contextlib
import http
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
from google.genai import errors as genai_errors

from service_llm.batch_jobs import BatchReply, JobLostError
from service_llm.errors import (
    AuthenticationError,
    BadRequestError,
    QuotaError,
    TransientError,
)
from service_llm.providers.gemini import GeminiClient
from service_llm.providers.refusals import Refusal, error_in_reply
from service_llm.providers.replies import read_gemini
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Request

_NOT_FOUND = 404
_LOST = {"JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED"}
_ENDED = {"JOB_STATE_SUCCEEDED", "JOB_STATE_PARTIALLY_SUCCEEDED"}
_FILE_TYPE = "application/jsonl"
# https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
_STATUS_OF_RPC = {1: 499, 3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 9: 400, 11: 400, 13: 500,
                  14: 503, 16: 401}  # fmt: skip
_STATUS_OF_PHRASE = {
    **{status.phrase.upper(): status.value for status in http.HTTPStatus},
    "CANCELLED": 499,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "UNAUTHENTICATED": 401,
}
_SERVER_ERROR = 500
_WELL = {"", "OK", "SUCCEEDED"}


class GeminiBatches:
    """Batch jobs of the Gemini API; see `BatchProvider`."""

    def __init__(self, settings: ServiceLLMSettings) -> None:
        self._model = settings.model
        self._client = GeminiClient(settings)
        self._sent: dict[str, str] = {}  # parameters of requests of this process
        self._client.check_every_call(_raise_error_in_a_200)

    def submit(self, requests: Mapping[str, Request], name: str) -> str:
        """Start a job; returns its resource name."""
        lines = (json.dumps(self._line(key, r), ensure_ascii=False) for key, r in requests.items())
        content = io.BytesIO("".join(f"{line}\n" for line in lines).encode())
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
            if found.dest and found.dest.file_name:
                content = self._client.api.files.download(file=found.dest.file_name)
                return list(self._read(content))
            # Of a job that an earlier version of this code sent inline.
            inline = (found.dest and found.dest.inlined_responses) or []
            items = (item.model_dump(mode="json", by_alias=True) for item in inline)
            return [self._reply({**item, "key": None}) for item in items]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _line(self, key: str, request: Request) -> dict[str, object]:
        config = self._client.generation_config(request)
        self._sent.update((name, name) for name in config)
        body: dict[str, object] = {
            "contents": [{"role": "user", "parts": [{"text": request.prompt}]}],
            "generationConfig": config,
        }
        if request.system:
            body["systemInstruction"] = {"parts": [{"text": request.system}]}
        return {"key": key, "request": body}

    def _read(self, content: bytes) -> Iterator[BatchReply]:
        for line in content.split(b"\n"):
            if not line.strip():
                continue
            try:
                item = json.loads(line)
            except (ValueError, RecursionError):
                item = None
            yield self._reply(item if isinstance(item, dict) else {})

    def _reply(self, item: Mapping[str, Any]) -> BatchReply:
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
        return self._failed(key, _with_body(error))

    def _failed(self, key: str | None, error: object) -> BatchReply:
        refusal = Refusal(_status_of(error), error or "no reply and no error")
        if self._client.parameters.learn(refusal, self._sent):
            return BatchReply(key, None, refusal.text)
        meant = self._client.translated(refusal)
        if isinstance(meant, AuthenticationError | QuotaError):
            return BatchReply(key, None, str(meant), ends_run=meant)
        words = meant.reason if isinstance(meant, BadRequestError) and meant.reason else str(meant)
        return BatchReply(key, None, words, not isinstance(meant, TransientError))


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
            return body if _named_status(body) else {**body, "status": _phrase(text)}
    return error


def _status_of(error: object) -> int:
    """Return the HTTP status of an error; 500 where it names none."""
    return _named_status(error) or _SERVER_ERROR


def _named_status(error: object) -> int | None:
    if isinstance(error, str):
        return _STATUS_OF_PHRASE.get(_phrase(error).upper())
    if not isinstance(error, dict):
        return None
    for name in ("code", "status"):
        value = error.get(name)
        if isinstance(value, str):
            value = int(value) if value.isdecimal() else _STATUS_OF_PHRASE.get(value.upper())
        status = _STATUS_OF_RPC.get(value, value) if type(value) is int else 0
        if 400 <= status < 600:
            return status
    return _named_status(error.get("error"))


def _phrase(text: str) -> str:
    return text.partition(":")[0].strip()


def _raise_error_in_a_200(response: httpx.Response) -> None:
    """Raise the error that a response of status 200 is as a whole.

    A job has a name, and its error is the job's own; a line of a job's replies has a key.
    """
    if response.status_code != httpx.codes.OK:
        return
    try:
        body = json.loads(response.read())
    except (ValueError, RecursionError):
        return
    if isinstance(body, dict) and {"name", "key"} & set(body):
        return
    if refusal := error_in_reply(body):
        raise genai_errors.APIError(refusal.status, refusal.body, response)
