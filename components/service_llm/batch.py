"""Sends requests as jobs of a batch API: cheaper, and answered within a day instead of at once.

A job's requests are written down before it is submitted and its name right after, so a run that
was killed finds its jobs again, waits for them and reads them into the journal: none is paid twice.
"""

import collections
import dataclasses
import itertools
import json
import logging
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

import pydantic

from components.service_llm.attempts import MALFORMED_TRIES, Reader, next_attempt
from components.service_llm.errors import (
    BudgetError,
    ServiceLLMError,
    TransientError,
    UnreachableError,
)
from components.service_llm.journal import Entry, Journal, request_key
from components.service_llm.parsing import BAD_OUTPUT, REFUSED, TRUNCATED
from components.service_llm.types import Finish, Reply, Request, Result, Usage

_T = TypeVar("_T")
_LOG = logging.getLogger(__name__)
_progress = logging.getLogger("understudy.progress")

_MOST_OPEN = 20_000  # requests held in memory
_MOST_IN_A_JOB = 5_000
_MOST_BYTES = 8_000_000  # of prompts; the Gemini Batch API takes 20 MB of requests inline
_NO_ANSWER = {Finish.REFUSED: REFUSED, Finish.LENGTH: TRUNCATED}
_NAME = "understudy-{id}"


class BatchProvider(Protocol):
    """Jobs of a provider."""

    def submit(self, requests: Sequence[Request], name: str) -> str:
        """Start a job; returns what `replies` knows it by."""
        ...

    def find(self, name: str) -> str | None:
        """The job that was submitted under a name, if there is one."""
        ...

    def replies(self, job: str) -> list[Reply | None] | None:
        """None while it runs; then a reply for each request, None where that one failed.

        Raises:
            JobLostError: The job failed, expired, was cancelled or is not known.
        """
        ...


class JobLostError(Exception):
    """A job ended without replies; its requests were not paid for."""


@dataclasses.dataclass
class _Open:
    """A request whose answer is still wanted."""

    request: Request
    attempt: Request
    number: int = 1
    failures: int = 0
    usage: Usage = dataclasses.field(default_factory=Usage)


@dataclasses.dataclass(frozen=True)
class _Job:
    id: str
    component: str
    round: int
    keys: list[str]


_JOB = pydantic.TypeAdapter(_Job)


class Batches:
    """Answers requests by batch jobs.

    Args:
        provider: Runs the jobs.
        journal: Where replies and jobs are written down.
        reader: Reads replies.
        left_usd: What may be spent yet, infinite without a budget; raises BudgetError where that is
            nothing.
        wait: Called between two looks at a job.
    """

    def __init__(
        self,
        provider: BatchProvider,
        journal: Journal,
        reader: Reader,
        *,
        left_usd: Callable[[], float],
        wait: Callable[[float], None],
    ) -> None:
        self._provider = provider
        self._journal = journal
        self._reader = reader
        self._left_usd = left_usd
        self._wait = wait

    def take_up(self) -> None:
        """Read what jobs of an earlier process brought into the journal."""
        for job in self._pending():
            replies = self._left_over(job)
            for key, reply in zip(job.keys, replies, strict=False):
                if reply is not None and self._journal.answer(key) is None:
                    self._append(self._unread(job, key, reply))
            self._journal.note(f"{job.id}.ended", "read")

    def _left_over(self, job: "_Job") -> list[Reply | None]:
        name = self._journal.note(f"{job.id}.job") or self._patiently(lambda: self._found(job))
        try:
            return self._ended(name) if name else []
        except JobLostError:
            return []

    def map(
        self, requests: Iterable[Request], known: Callable[[Request], Result | None]
    ) -> Iterator[Result]:
        """Results of requests, those that `known` has at once.

        Raises:
            ServiceLLMError: The service cannot be used any further.
        """
        source = iter(requests)
        while window := list(itertools.islice(source, _MOST_OPEN)):
            todo = []
            for request in window:
                if (result := known(request)) is not None:
                    yield result
                else:
                    todo.append(_Open(request, request))
            while todo:
                todo = yield from self._sent(todo)

    def _sent(self, todo: Sequence[_Open]) -> Generator[Result, None, list[_Open]]:
        """Submit all, yield results as jobs end, and return what has to be asked again."""
        waiting = collections.deque(todo)
        jobs: collections.deque[tuple[_Job, str, list[_Open]]] = collections.deque()
        again: list[_Open] = []
        while waiting or jobs:
            if part := self._next_part(waiting, [item for *_, part in jobs for item in part]):
                jobs.append((*self._submitted(part), part))
            else:
                yield from self._results(*jobs.popleft(), again)
        return again

    def _next_part(
        self, waiting: collections.deque[_Open], under_way: Sequence[_Open]
    ) -> list[_Open]:
        """What goes into the next job: as much as a job holds and what is left surely pays for."""
        part: list[_Open] = []
        size = 0
        if not waiting:
            return part
        try:
            left_usd = self._left_usd()
        except BudgetError:
            if not under_way:
                raise
            return part
        left_usd -= sum(self._reader.most_usd(item.attempt) for item in under_way)
        while waiting and len(part) < _MOST_IN_A_JOB:
            attempt = waiting[0].attempt
            size += len(attempt.prompt.encode()) + len(attempt.system.encode())
            left_usd -= self._reader.most_usd(attempt)
            if (size > _MOST_BYTES or left_usd < 0) and (part or under_way):
                break
            part.append(waiting.popleft())
        return part

    def _results(
        self, job: _Job, name: str, part: Sequence[_Open], again: list[_Open]
    ) -> Iterator[Result]:
        try:
            replies = self._ended(name)
            if len(replies) != len(part):
                raise JobLostError(f"it holds {len(replies)} replies to {len(part)} requests")
        except JobLostError as error:
            self._journal.note(f"{job.id}.ended", "lost")
            raise ServiceLLMError(
                f"The batch job {name!r} brought no replies: {error}. Run the same command "
                "again to submit its requests anew, or set service_llm.batch to false."
            ) from error
        read = [
            (item, self._reader.read(item.request, reply) if reply else None)
            for item, reply in zip(part, replies, strict=True)
        ]
        self._append(*(found[1] for _, found in read if found))
        self._journal.note(f"{job.id}.ended", "read")
        for (item, found), reply in zip(read, replies, strict=True):
            if found is None or reply is None:
                again.append(self._failed(item))
                continue
            value, entry = found
            item.usage += entry.usage
            if entry.error == BAD_OUTPUT and item.number < MALFORMED_TRIES:
                item.attempt = next_attempt(item.request, item.number)
                item.number += 1
                again.append(item)
                continue
            yield Result(
                item.request,
                value,
                entry.error,
                reply.text,
                item.usage,
                False,
                reply.model_version,
            )

    def _submitted(self, part: Sequence[_Open]) -> tuple[_Job, str]:
        keys = [request_key(self._reader.settings, item.request) for item in part]
        job = _Job(uuid.uuid4().hex, self._reader.component, self._reader.round, keys)
        self._journal.note(f"{job.id}.batch", json.dumps(dataclasses.asdict(job)))
        attempts = [item.attempt for item in part]
        tries = itertools.count()

        def submit() -> str:
            # What failed may have been no more than the way back.
            earlier = self._found(job) if next(tries) else None
            return earlier or self._provider.submit(attempts, _NAME.format(id=job.id))

        name = self._patiently(submit)
        self._journal.note(f"{job.id}.job", name)
        return job, name

    def _ended(self, name: str) -> list[Reply | None]:
        while True:
            replies = self._patiently(lambda: self._provider.replies(name))
            if replies is not None:
                return replies
            _progress.info("waiting for the batch job %s", name)
            self._wait(self._reader.settings.batch_poll_seconds)

    def _found(self, job: _Job) -> str | None:
        return self._provider.find(_NAME.format(id=job.id))

    def _patiently(self, call: Callable[[], _T]) -> _T:
        failures = 0
        while True:
            try:
                return call()
            except TransientError as error:
                failures += 1
                if failures >= self._reader.settings.max_attempts:
                    raise error.final(failures) from error
                doubled = self._reader.settings.retry_seconds * 2 ** (failures - 1)
                self._wait(max(doubled, error.wait_seconds or 0.0))

    def _failed(self, item: _Open) -> _Open:
        item.failures += 1
        if item.failures >= self._reader.settings.max_attempts:
            raise UnreachableError(f"A request failed in {item.failures} batch jobs.")
        return item

    def _pending(self) -> list[_Job]:
        noted = self._journal.notes(".batch")
        jobs = []
        for name, text in noted.items():
            try:
                jobs.append(_JOB.validate_json(text, strict=True))
            except ValueError:
                _LOG.warning("The note %s of a batch job cannot be read and is skipped.", name)
        return [job for job in jobs if self._journal.note(f"{job.id}.ended") is None]

    def _unread(self, job: _Job, key: str, reply: Reply) -> Entry:
        """The line of a reply whose schema is not at hand: it is parsed when it is asked for."""
        reader = dataclasses.replace(self._reader, component=job.component, round=job.round)
        return reader.entry(key, reply, _NO_ANSWER.get(reply.finish))

    def _append(self, *entries: Entry) -> None:
        for future in [self._journal.append(entry) for entry in entries]:
            future.result()
