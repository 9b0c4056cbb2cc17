"""Jobs of the Gemini Batch API: many requests at once, answered some time later.

As reported of the service, replies come in another order than the requests, those of a file with
their keys, and inline ones without their metadata.

References:
    https://ai.google.dev/api/batch-api, https://ai.google.dev/gemini-api/docs/batch-api,
    https://github.com/googleapis/python-genai/issues/1909 (order),
    https://github.com/googleapis/python-genai/issues/1886 (metadata)
"""

import itertools
import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from standin.errors import Body, HttpError, bad_request
from standin.files import Files

Answer = Callable[[str, Body], Body]


class _Item(NamedTuple):
    """A request of a job; its key is None where it came inline."""

    key: str | None
    request: Any


class Batches:
    """The jobs of one server; they are gone when it stops.

    Args:
        answer: Answers one request, given its model and body; raises HttpError.
        files: The server's files.
        seconds: How long a job takes.
    """

    def __init__(self, answer: Answer, files: Files, seconds: float) -> None:
        self._answer = answer
        self._files = files
        self._seconds = seconds
        self._jobs: dict[str, dict[str, Any]] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def create(self, model: str, body: Mapping[str, Any]) -> Body:
        """Start a job.

        Raises:
            HttpError: The job holds no request, or its file cannot be read.
        """
        batch = body.get("batch") or {}
        items = self._items(batch.get("inputConfig") or {})
        if not items:
            raise bad_request("The batch holds no requests.")
        with self._lock:
            job = {
                "name": f"batches/{next(self._numbers)}",
                "display_name": batch.get("displayName", ""),
                "model": model,
                "items": items,
                "ready": time.monotonic() + self._seconds,
                "output": None,
            }
            self._jobs[str(job["name"])] = job
        return self._told(job)

    def get(self, name: str) -> Body:
        """Return a job, with its output once it has ended.

        Raises:
            HttpError: There is no such job.
        """
        with self._lock:
            job = self._jobs.get(name)
            if job is None:
                raise HttpError(404, "NOT_FOUND", f"There is no batch job {name!r}.")
            if job["output"] is None and time.monotonic() >= job["ready"]:
                job["output"] = self._output(job)
        return self._told(job)

    def jobs(self) -> Body:
        """All jobs, without their output."""
        with self._lock:
            return {
                "operations": [self._told(job | {"output": None}) for job in self._jobs.values()]
            }

    def _items(self, config: Mapping[str, Any]) -> list[_Item]:
        if file := config.get("fileName"):
            lines = self._files.read(file).decode("utf-8").split("\n")
            try:
                given = [json.loads(line) for line in lines if line.strip()]
                for line in given:
                    if unknown := sorted(set(line) - {"key", "request"}):
                        raise ValueError(f"there is no field {unknown[0]!r}")
                return [_Item(str(line["key"]), line["request"]) for line in given]
            except (ValueError, KeyError, TypeError) as error:
                raise bad_request(
                    f"A line of {file} is not a key and a request: {error!r}."
                ) from error
        inline = (config.get("requests") or {}).get("requests") or []
        return [_Item(None, item.get("request")) for item in inline]

    def _output(self, job: Mapping[str, Any]) -> Body:
        items = list(job["items"])
        random.Random(job["name"]).shuffle(items)
        replies = [(item.key, self._reply(job["model"], item.request)) for item in items]
        if items[0].key is None:
            return {"inlinedResponses": {"inlinedResponses": [reply for _, reply in replies]}}
        lines = [json.dumps({"key": key, **reply}) + "\n" for key, reply in replies]
        return {"responsesFile": self._files.create("".join(lines).encode())}

    def _reply(self, model: str, request: Any) -> Body:
        try:
            return {"response": self._answer(model, request)}
        except HttpError as error:
            return {"error": error.rpc_status}

    @staticmethod
    def _told(job: Mapping[str, Any]) -> Body:
        is_done = job["output"] is not None
        metadata: Body = {
            "displayName": job["display_name"],
            "state": "BATCH_STATE_SUCCEEDED" if is_done else "BATCH_STATE_RUNNING",
        }
        if is_done:
            metadata["output"] = job["output"]
        return {"name": job["name"], "metadata": metadata, "done": is_done}
