"""What a server keeps between requests: jobs, and the files that they read and write."""

import json
import urllib.parse
from collections.abc import Callable

from standin.batches import Batches
from standin.buckets import Buckets
from standin.calls import Answer, Call
from standin.errors import Body, bad_request
from standin.files import Files
from standin.prediction_jobs import PredictionJobs
from standin.published.google_types import check_google
from standin.routes import Route

NEW_JOBS = {"batch", "new prediction job"}
_STUDIO, _VERTEX = "generativelanguage_v1beta", "aiplatform_v1"


class Kept:
    """The jobs, files and objects of one server.

    Args:
        answer: Answers one request of a job, given the published types that it is of, its model
            and its body; raises HttpError.
        seconds: How long a job takes.
    """

    def __init__(self, answer: Callable[[str, str, Body], Body], seconds: float) -> None:
        self._files = Files()
        self._batches = Batches(
            lambda model, body: answer(_STUDIO, model, body), self._files, seconds
        )
        self._buckets = Buckets()
        self._predictions = PredictionJobs(
            lambda model, body: answer(_VERTEX, model, body), self._buckets, seconds
        )

    def create(self, route: Route, body: Body) -> Body:
        """Start a job.

        Raises:
            HttpError: It cannot be run.
        """
        jobs = self._batches if route.kind == "batch" else self._predictions
        return jobs.create(route.name, body)

    def answer(self, route: Route, call: Call) -> Answer | None:
        """Return the response to a request about what is kept; None for any other.

        Raises:
            HttpError: It is not there.
        """
        answers: dict[str, Callable[[], Body | bytes]] = {
            "jobs": self._batches.jobs,
            "job": lambda: self._batches.get(route.name),
            "file": lambda: self._files.read(route.name),
            "prediction jobs": lambda: self._predictions.listed(route.name, call.query),
            "prediction job": lambda: self._predictions.get(route.name),
            "bucket": lambda: {"kind": "storage#bucket", "name": route.name, "location": "US"},
            "new object": lambda: self._buckets.upload(route.name, call),
            "objects": lambda: self._buckets.listed(route.name, call.query),
            "object": lambda: self._buckets.read(_uri_of(route.name)),
            "old object": lambda: self._buckets.delete(_uri_of(route.name)),
        }
        if route.kind in answers:
            return Answer(200, answers[route.kind]())
        if route.kind == "start upload":
            check_google(_STUDIO, "CreateFileRequest", read_json(call.raw or b"{}"))
            return Answer(200, {}, self._files.start(call.headers))
        if route.kind == "upload":
            headers, body = self._files.upload(route.name, call.headers, call.raw)
            return Answer(200, body, headers)
        return None


def _uri_of(path: str) -> str:
    bucket, _, name = path.partition("/o/")
    return f"gs://{bucket}/{urllib.parse.unquote(name)}"


def read_json(raw: bytes) -> Body:
    """Return a body.

    Raises:
        HttpError: It is no JSON object.
    """
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"The body is not JSON: {error}.") from error
    if not isinstance(body, dict):
        raise bad_request("The body is not a JSON object.")
    return body
