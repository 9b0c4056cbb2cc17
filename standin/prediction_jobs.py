"""Batch prediction jobs of Vertex AI: requests and replies in Cloud Storage, in any order.

References:
    https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.batchPredictionJobs,
    https://docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/batch-prediction-from-cloud-storage
"""

import http
import itertools
import json
import random
import re
import threading
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

from standin.buckets import Buckets
from standin.errors import Body, HttpError, bad_request

_PROCESSED = "2026-11-29T12:00:00.000+00:00"
# The second is written while a job runs, and stays.
_FILES = ("predictions.jsonl", "incremental_predictions.jsonl")
# https://docs.cloud.google.com/compute/docs/labeling-resources
_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
_FILTER = re.compile(r'display_name="([^"]*)"')


class PredictionJobs:
    """The jobs of one server; they are gone when it stops.

    Args:
        answer: Answers one request, given its model and body; raises HttpError.
        buckets: The server's objects.
        seconds: How long a job takes.
    """

    def __init__(
        self, answer: Callable[[str, Body], Body], buckets: Buckets, seconds: float
    ) -> None:
        self._answer = answer
        self._buckets = buckets
        self._seconds = seconds
        self._jobs: dict[str, Body] = {}
        self._ready: dict[str, float] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def create(self, place: str, body: Body) -> Body:
        """Start a job in `projects/P/locations/L`.

        Raises:
            HttpError: It does not read and write lines of JSON.
        """
        source, target = body.get("inputConfig") or {}, body.get("outputConfig") or {}
        formats = (source.get("instancesFormat"), target.get("predictionsFormat"))
        if formats != ("jsonl", "jsonl"):
            raise bad_request("Only jobs from Cloud Storage to Cloud Storage (jsonl) are served.")
        with self._lock:
            name = f"{place}/batchPredictionJobs/{next(self._numbers)}"
            self._jobs[name] = {**body, "name": name, "state": "JOB_STATE_RUNNING"}
            self._ready[name] = time.monotonic() + self._seconds
            return dict(self._jobs[name])

    def get(self, name: str) -> Body:
        """Return a job, with the folder of its output once it has ended.

        Raises:
            HttpError: There is no such job.
        """
        with self._lock:
            if name not in self._jobs:
                raise HttpError(404, "NOT_FOUND", f"The BatchPredictionJob {name} does not exist.")
            job = self._jobs[name]
            if job["state"] == "JOB_STATE_RUNNING" and time.monotonic() >= self._ready[name]:
                job |= self._ended(job)
            return dict(job)

    def listed(self, place: str, query: str) -> Body:
        """Return the jobs of a place that a query's `filter` leaves."""
        asked = _FILTER.fullmatch(urllib.parse.parse_qs(query).get("filter", [""])[0])
        with self._lock:
            jobs = [job for name, job in self._jobs.items() if name.startswith(f"{place}/")]
        return {
            "batchPredictionJobs": [
                job for job in jobs if asked is None or job.get("displayName") == asked[1]
            ]
        }

    def _ended(self, job: Body) -> Body:
        """Write a job's replies, and return the fields that tell of them."""
        try:
            requests = self._requests(job["inputConfig"]["gcsSource"]["uris"])
        except (HttpError, ValueError, KeyError, TypeError) as error:
            failed = {"code": 3, "message": f"The input cannot be read: {error!r}."}
            return {"state": "JOB_STATE_FAILED", "error": failed}
        random.Random(job["name"]).shuffle(requests)
        model = job["model"].rpartition("/")[2]
        lines = "\n".join(json.dumps(self._line(model, request)) for request in requests).encode()
        prefix = job["outputConfig"]["gcsDestination"]["outputUriPrefix"].rstrip("/")
        folder = f"{prefix}/prediction-model-{job['name'].rpartition('/')[2]}"
        for name in _FILES:
            self._buckets.write(f"{folder}/{name}", lines)
        return {"state": "JOB_STATE_SUCCEEDED", "outputInfo": {"gcsOutputDirectory": folder}}

    def _requests(self, uris: list[str]) -> list[Any]:
        lines = [line for uri in uris for line in self._buckets.read(uri).split(b"\n")]
        return [json.loads(line)["request"] for line in lines if line.strip()]

    def _line(self, model: str, request: Any) -> Body:
        """Return what came of a request: an error is a text in `status`."""
        line: Body = {"status": "", "processed_time": _PROCESSED, "request": request}
        try:
            _check_labels(request)
            return {**line, "response": self._answer(model, request)}
        except HttpError as error:
            phrase = http.HTTPStatus(error.code).phrase
            return {**line, "status": f"{phrase}: {json.dumps(error.google())}", "response": {}}


def _check_labels(request: Any) -> None:
    """Refuse labels that Google Cloud does not take.

    Raises:
        HttpError: A key or a value is too long, or holds another character.
    """
    labels = request.get("labels") if isinstance(request, dict) else None
    for key, value in (labels if isinstance(labels, dict) else {}).items():
        if not (_LABEL_KEY.fullmatch(key) and _LABEL_VALUE.fullmatch(str(value))):
            raise bad_request(f"The label {key}: {value} is not valid.")
