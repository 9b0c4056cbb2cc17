"""What a batch job is, what a provider of them does, and whose replies came back."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import pydantic

from service_llm.errors import ServiceLLMError
from service_llm.types import Reply, Request

UNMATCHED = "unmatched"  # the error of a reply, in the journal


class BatchProvider(Protocol):
    """Jobs of a provider."""

    def submit(self, requests: Mapping[str, Request], name: str) -> str:
        """Start a job of requests, by key; returns what `replies` knows it by."""
        ...

    def find(self, name: str) -> str | None:
        """Return the job that was submitted under a name, if there is one."""
        ...

    def replies(self, job: str) -> "list[BatchReply] | None":
        """None while it runs; then what came back, in any order.

        Raises:
            JobLostError: The job failed, expired, was cancelled or is not known.
        """
        ...


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
    """

    key: str | None
    reply: Reply | None
    error: str = ""
    is_permanent: bool = False
    ends_run: ServiceLLMError | None = None
    is_adapted: bool = False


class JobLostError(Exception):
    """A job ended without replies; its requests were not paid for."""


@dataclasses.dataclass(frozen=True)
class BatchJob:
    """What is written down of a job.

    Attributes:
        id: Random.
        component: Who asks.
        round: The round it asks for.
        keys: The journal's keys of its requests, in the order in which they were sent.
    """

    id: str
    component: str
    round: int
    keys: list[str]

    def sent_keys(self) -> list[str]:
        """Return the keys as they are sent: each is another, even where a request is sent twice."""
        return [f"{number}-{key}" for number, key in enumerate(self.keys)]

    @classmethod
    def of_note(cls, text: str) -> "BatchJob | None":
        """Return the job that a note describes; None where it cannot be read."""
        try:
            return _JOB.validate_json(text, strict=True)
        except ValueError:
            return None


_JOB = pydantic.TypeAdapter(BatchJob)


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
        taken = by_key.get(item.key) if item.key else None
        if item.key in known and (taken is None or (item.reply and not taken.reply)):
            by_key[item.key] = item
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
    others = [item for item in replies if item.key not in known]
    others = [item for item in others if item.reply is not None or item.is_permanent]
    said = dict.fromkeys(item.error for item in others if item.error)
    return BatchReply(
        None,
        None,
        "; without a key: ".join(["no reply came back with its key", *said]),
        is_permanent=bool(others),
        ends_run=next((item.ends_run for item in others if item.ends_run), None),
    )
