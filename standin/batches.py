"""Jobs of the Gemini Batch API: many requests at once, answered some time later.

Reference:
    https://ai.google.dev/api/batch-api
"""

import itertools
import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from standin.protocol import Body, HttpError, bad_request


class Batches:
    """The jobs of one server; they are gone when it stops.

    Args:
        answer: Answers one request, given its path and body, by status and body.
        seconds: How long a job takes.
    """

    def __init__(self, answer: Callable[[str, bytes], tuple[int, Body]], seconds: float) -> None:
        self._answer = answer
        self._seconds = seconds
        self._jobs: dict[str, dict[str, Any]] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def create(self, model: str, body: Mapping[str, Any]) -> Body:
        """Starts a job.

        Raises:
            HttpError: The body is not one of `batchGenerateContent`.
        """
        try:
            batch = body["batch"]
            requests = [item["request"] for item in batch["inputConfig"]["requests"]["requests"]]
            name = batch.get("displayName", "")
        except (KeyError, TypeError, AttributeError) as error:
            raise bad_request(
                f"The body is not a batchGenerateContent request: {error!r}."
            ) from error
        if not requests:
            raise bad_request("The batch holds no requests.")
        with self._lock:
            job = {
                "name": f"batches/{next(self._numbers)}",
                "display_name": name,
                "path": f"/v1beta/models/{model}:generateContent",
                "requests": requests,
                "ready": time.monotonic() + self._seconds,
                "responses": None,
            }
            self._jobs[str(job["name"])] = job
        return self._told(job)

    def get(self, name: str) -> Body:
        """A job, with its responses once it has ended.

        Raises:
            HttpError: There is no such job.
        """
        with self._lock:
            job = self._jobs.get(name)
            if job is None:
                raise HttpError(404, "NOT_FOUND", f"There is no batch job {name!r}.")
            if job["responses"] is None and time.monotonic() >= job["ready"]:
                job["responses"] = [self._response(job["path"], r) for r in job["requests"]]
        return self._told(job)

    def list(self) -> Body:
        """All jobs, without their responses."""
        with self._lock:
            return {
                "operations": [self._told(job | {"responses": None}) for job in self._jobs.values()]
            }

    def _response(self, path: str, request: Body) -> Body:
        status, body = self._answer(path, json.dumps(request).encode())
        return {"response": body} if status == 200 else {"error": _flat(body)}

    @staticmethod
    def _told(job: Mapping[str, Any]) -> Body:
        is_done = job["responses"] is not None
        metadata: Body = {
            "displayName": job["display_name"],
            "state": "BATCH_STATE_SUCCEEDED" if is_done else "BATCH_STATE_RUNNING",
        }
        if is_done:
            metadata["output"] = {"inlinedResponses": {"inlinedResponses": job["responses"]}}
        return {"name": job["name"], "metadata": metadata, "done": is_done}


def _flat(body: Body) -> Body:
    error = body["error"]
    return {"code": error["code"], "message": error["message"]}
