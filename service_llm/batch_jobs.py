"""What a batch job is, what a provider of them does, and whose replies came back."""

import dataclasses
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import pydantic

from service_llm.errors import ServiceLLMError
from service_llm.refusals import Refusal
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Reply, Request

UNMATCHED = "unmatched"  # the error of a reply, in the journal
# Vertex AI has room for it in a label: https://docs.cloud.google.com/compute/docs/labeling-resources
_LONGEST_KEY = 63
_IN_A_LOCATION = re.compile(r"projects/[^/]+/locations/([^/]+)/")


class BatchProvider(Protocol):
    """Jobs of a provider."""

    def submit(self, requests: Mapping[str, Request], name: str) -> str:
        """Start a job of requests, by key; returns what `replies` knows it by."""
        ...

    def find(self, name: str) -> str | None:
        """Return the job that was submitted under a name, if there is one."""
        ...

    def replies(self, job: str) -> "list[BatchReply] | Unended":
        """Return what came back, in any order, once the job has ended in whatever way.

        Raises:
            JobLostError: Nothing that was paid for came back.
        """
        ...

    def learn(self, request: Request, refusal: Refusal) -> None:
        """Learn what a request of an earlier process was refused for.

        Args:
            request: As it would be sent now.
            refusal: The error, of the request or of its whole job.
        """
        ...


class Unended(NamedTuple):
    """A job that has not ended.

    Attributes:
        state: As the service names it.
        is_in_progress: Whether it ends without anybody's doing.
    """

    state: str
    is_in_progress: bool


class BatchReply(NamedTuple):
    """What came back for one request of a job.

    Attributes:
        key: The request's key; None where the service left it out.
        reply: The reply; None where the request failed.
        error: Why it failed, in the service's words.
        is_permanent: Whether it would fail again.
        ends_run: Why no request would be answered, such as a key that expired; else None.
        is_adapted: Whether the provider has learned how to send it so that it is accepted: it is
            sent again, and this is no failure.
        refusal: The service's error.
    """

    key: str | None
    reply: Reply | None
    error: str = ""
    is_permanent: bool = False
    ends_run: ServiceLLMError | None = None
    is_adapted: bool = False
    refusal: Refusal | None = None


class JobLostError(Exception):
    """A job ended without replies; its requests were not paid for.

    Attributes:
        refusal: The service's error about the whole job.
    """

    def __init__(self, reason: str, refusal: Refusal | None = None) -> None:
        super().__init__(reason)
        self.refusal = refusal


@dataclasses.dataclass(frozen=True)
class BatchJob:
    """What is written down of a job.

    Attributes:
        id: Random.
        component: Who asks.
        round: The round it asks for.
        keys: The journal's keys of its requests, in the order in which they were sent.
        place: See `place_of`; empty where an earlier version noted the job.
    """

    id: str
    component: str
    round: int
    keys: list[str]
    place: str = ""

    def is_elsewhere(self, name: str | None, settings: ServiceLLMSettings) -> bool:
        """Whether a job is of another service than the one that is configured.

        Args:
            name: Of the job, where it is known: of an earlier version's job it tells the place.
            settings: The service.
        """
        if self.place or not name or "/" not in name:
            return self.place not in ("", place_of(settings))
        found = _IN_A_LOCATION.match(name)
        location = settings.vertex_location if settings.vertex_project else None
        return (found[1] if found else None) != location

    def sent_keys(self) -> list[str]:
        """Return the keys as they are sent: each is another, even where a request is sent twice."""
        return [f"{number}-{key}"[:_LONGEST_KEY] for number, key in enumerate(self.keys)]

    @classmethod
    def of_note(cls, text: str) -> "BatchJob | None":
        """Return the job that a note describes; None where it cannot be read."""
        try:
            return _JOB.validate_json(text, strict=True)
        except ValueError:
            return None


_JOB = pydantic.TypeAdapter(BatchJob)


def place_of(settings: ServiceLLMSettings) -> str:
    """Return where batch jobs of a service are, in words: they are asked for there alone."""
    where = settings.base_url or "Google AI Studio"
    if settings.vertex_project:
        where = f"Vertex AI, project {settings.vertex_project}, location {settings.vertex_location}"
    version = f" {settings.model_version}" if settings.model_version else ""
    return f"{settings.model}{version} ({where})"


def match_replies(
    job: BatchJob, replies: Sequence[BatchReply]
) -> tuple[dict[str, BatchReply], dict[str, Reply]]:
    """Tell whose replies came back.

    Returns:
        What came back for each request, by the key that was sent: of several the first reply; and
        the replies that carry no such key, or one that is taken, by keys of the journal that no
        request has.
    """
    known = set(job.sent_keys())
    by_key: dict[str, BatchReply] = {}
    unmatched: dict[str, Reply] = {}
    for number, item in enumerate(replies):
        key = _sent_key(item)
        taken = by_key.get(key)
        if key in known and (taken is None or (item.reply and not taken.reply)):
            by_key[key] = item
        elif item.reply is not None:
            place = f"{job.id}/{number}"
            unmatched[hashlib.sha256(place.encode()).hexdigest()] = item.reply
    return by_key, unmatched


def missing_reply(job: BatchJob, replies: Sequence[BatchReply]) -> BatchReply:
    """Return what is known of a request whose key came back with no reply.

    It is not asked again where a reply or a refusal came back under no key of the job: that may be
    its own, was paid for, and would come back in the same way.
    """
    known = set(job.sent_keys())
    others = [item for item in replies if _sent_key(item) not in known]
    others = [item for item in others if item.reply is not None or item.is_permanent]
    said = dict.fromkeys(item.error for item in others if item.error)
    return BatchReply(
        None,
        None,
        "; without a key: ".join(["no reply came back with its key", *said]),
        is_permanent=bool(others),
        ends_run=next((item.ends_run for item in others if item.ends_run), None),
    )


def _sent_key(item: BatchReply) -> str:
    """Return the key of a reply as it is sent now: an earlier version sent longer ones."""
    return (item.key or "")[:_LONGEST_KEY]
