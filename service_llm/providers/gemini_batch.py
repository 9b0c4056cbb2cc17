"""Gemini's batch jobs, with requests and replies in files, by key.

Requests that are sent inline come back without their metadata, and not in their order
(https://github.com/googleapis/python-genai/issues/1886 and 1909), so nothing tells which reply is
whose. In files every line has its key.
"""

import collections
import contextlib
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pydantic
from google.genai import errors as genai_errors

from service_llm.batch_jobs import BatchReply, JobLostError, Unended
from service_llm.errors import TransientError
from service_llm.markup import is_page
from service_llm.providers.batch_files import BatchFiles, StudioFiles, fields
from service_llm.providers.batch_replies import ReplyLines, Sent, refusal_by
from service_llm.providers.gemini import GeminiClient, refusal_of
from service_llm.refusals import Refusal, error_in_reply
from service_llm.settings import ServiceLLMSettings
from service_llm.statuses import status_named
from service_llm.types import Request

_FORBIDDEN, _NOT_FOUND = 403, 404
_GONE = {404, 410}
# Instead of 404: https://github.com/googleapis/python-genai/issues/1218
_MAY_BE_GONE = "may not exist"
_IN_PROGRESS = {"QUEUED", "PENDING", "RUNNING", "CANCELLING", "UPDATING"}
_ENDED_EARLY = {"FAILED", "CANCELLED", "EXPIRED"}
_ENDED = {"SUCCEEDED", "PARTIALLY_SUCCEEDED"}
_MAY_PASS = {408, 429, *range(500, 600)}
_MAX_DOWNLOADS = 10  # of a file in which no reply can be read: some four minutes
_CHECKED = "understudy-check"  # the name of a job that there never is


class GeminiBatches:
    """Batch jobs of Google AI Studio or of Vertex AI; see `BatchProvider`."""

    def __init__(self, settings: ServiceLLMSettings) -> None:
        self._model = settings.model
        self._client = GeminiClient(settings)
        self._files = _open_files(self._client, settings)
        self._read = ReplyLines(self._client, settings.model)
        # By job and key; by the display name until the job is known.
        self._sent: dict[str, dict[str, Sent]] = {}
        self._unreadable: collections.Counter[str] = collections.Counter()
        self._operation: Mapping[str, Any] = {}  # that the latest response told of
        self._client.check_every_call(self._check)

    def check(self) -> None:
        """Find what a job would fail at, as far as that costs nothing.

        Raises:
            UserError: The bucket or the jobs of the project cannot be used.
            TransientError: Not now.
        """
        self._files.check()
        self.find(_CHECKED)

    def submit(self, requests: Mapping[str, Request], name: str) -> str:
        """Start a job; returns its resource name."""
        sent: dict[str, Sent] = {}
        self._sent[name] = sent
        lines = (self._line(key, request, sent) for key, request in requests.items())
        text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
        with self._client.translated_errors():
            job = self._files.create(text, name)
        if not job.name:
            raise TransientError(f"{self._model}: the service named no batch job.")
        self._sent[job.name] = self._sent.pop(name)
        return job.name

    def find(self, name: str) -> str | None:
        """Return the resource name of the job with this display name."""
        with self._client.translated_errors():
            for job in self._client.api.batches.list(config=self._files.jobs_named(name)):
                if job.display_name == name and job.name:
                    self._sent.setdefault(job.name, self._sent.pop(name, {}))
                    return job.name
        return None

    def replies(self, job: str) -> list[BatchReply] | Unended:
        """Return the replies of a job that has ended."""
        sent = self._sent.get(job, {})
        with self._client.translated_errors():
            named, error, output = self._files.outcome(self._operation_of(job))
            state = named.rpartition("STATE_")[2]
            if state in _ENDED_EARLY:
                replies = self._left_by(job, state, error, output, sent)
            elif state in _ENDED:
                replies = self._replies(job, output, sent)
            else:
                return Unended(state, state in _IN_PROGRESS)
        self._sent.pop(job, None)
        return replies

    def learn(self, request: Request, refusal: Refusal) -> None:
        """Learn what a request of an earlier process was refused for."""
        self._client.parameters.learn(refusal, request, self._client.parameters.of(request))

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
            if error.code == _NOT_FOUND and not _is_of_another_server(refusal_of(error)):
                raise JobLostError("the service does not know it any more") from error
            raise
        if not self._operation:
            raise TransientError(
                f"{self._model}: the service returned nothing about the batch job {job}."
            )
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
        if {"name", "key"} & set(fields(body)):
            self._operation = body
        elif refusal := error_in_reply(body):
            is_file = response.request.url.path.endswith(":download")
            if is_file and status_named(body) not in _MAY_PASS:
                return
            raise genai_errors.APIError(refusal.status, refusal.body, response)

    def _left_by(
        self,
        job: str,
        state: str,
        error: object,
        output: Mapping[str, object],
        sent: Mapping[str, Sent],
    ) -> list[BatchReply]:
        """Return what a job brought before it ended early, which was paid for, and all the rest.

        Source: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/batch-prediction-from-cloud-storage

        Raises:
            JobLostError: It returned nothing, and sent again it would end in the same way.
        """
        replies: list[BatchReply] = []
        with contextlib.suppress(JobLostError):
            replies = self._replies(job, output, sent)
        keys = {item.key for item in replies}
        failed = [
            self._read.failed(key, error, one) for key, one in sent.items() if key not in keys
        ]
        refusal = refusal_by(error)
        said = f"ended as {state}"
        if error:
            said += f" ({self._client.shown(refusal.text)})"
        is_of_use = any(item.reply or item.is_permanent or item.is_adapted for item in replies)
        if not is_of_use and not any(item.is_adapted for item in failed):
            raise JobLostError(f"it {said}", refusal)
        # The job's error is not the fault of a request that it never came to.
        reason = f"Its batch job {said}."
        return replies + [
            item if item.is_adapted else BatchReply(item.key, None, reason) for item in failed
        ]

    def _line(self, key: str, request: Request, sent: dict[str, Sent]) -> Mapping[str, object]:
        config = self._client.parameters.of(request)
        prompt = self._client.parameters.prompt_of(request)
        sent[key] = Sent(request, {n: None if "Schema" in n else v for n, v in config.items()})
        body: dict[str, object] = {
            "contents": [{"role": "user", "parts": [{"text": prompt}]}],
            "generationConfig": config,
        }
        if request.system:
            body["systemInstruction"] = {"parts": [{"text": request.system}]}
        return self._files.line(key, body)

    def _replies(
        self, job: str, output: Mapping[str, object], sent: Mapping[str, Sent]
    ) -> list[BatchReply]:
        """Return the replies of a job's output."""
        if file := output.get("responsesFile"):
            return [self._read.read(line, sent) for line in self._lines(job, str(file))]
        # Of an earlier version's job that was sent inline, or of a small one.
        # https://github.com/maximhq/bifrost/issues/3951
        inline = fields(output.get("inlinedResponses")).get("inlinedResponses") or []
        return [self._read.read(_keyed(fields(item)), sent) for item in inline]

    def _lines(self, job: str, file: str) -> list[Mapping[str, Any]]:
        """Return the lines of a job's file of replies; one that cannot be read is empty.

        Raises:
            JobLostError: The file is gone, or is not JSON whenever it is read.
            TransientError: It cannot be read now.
        """
        try:
            content = self._files.download(file).strip()
        except genai_errors.APIError as error:
            if _is_gone(refusal_of(error)):
                raise JobLostError(f"its file of replies is gone ({error.message})") from error
            raise
        lines = [_object(line) for line in content.split(b"\n") if line.strip()]
        if any(lines) or not lines:
            return [self._files.keyed(line) for line in lines]
        self._unreadable[job] += 1
        if self._unreadable[job] >= _MAX_DOWNLOADS:
            raise JobLostError("its file of replies cannot be read (it is not JSON)")
        raise TransientError(f"{self._model}: a job's file of replies is not JSON.")


def _open_files(client: GeminiClient, settings: ServiceLLMSettings) -> BatchFiles:
    if not settings.vertex_project:
        return StudioFiles(client, settings.model)
    from service_llm.providers.bucket_files import BucketFiles

    return BucketFiles(client, settings)


def _is_of_another_server(refusal: Refusal) -> bool:
    """Whether a proxy or a wrong address answered in the service's place."""
    return refusal.is_wrong_path or is_page(refusal.body)


def _is_gone(refusal: Refusal) -> bool:
    """Whether a file does not exist any more; a key that is refused says nothing of that."""
    is_gone = refusal.status in _GONE
    if refusal.status == _FORBIDDEN:
        is_gone = _MAY_BE_GONE in refusal.text
    return is_gone and not _is_of_another_server(refusal)


def _keyed(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an inline reply with its key in the place where a file has it."""
    return {**item, "key": fields(item.get("metadata")).get("key")}


def _object(line: bytes) -> Mapping[str, Any]:
    try:
        item = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return fields(item)
