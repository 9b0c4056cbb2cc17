"""Sends requests as jobs of a batch API: cheaper, and answered within a day instead of at once.

A job's requests are written down before it is submitted and its name right after, so a run that
was killed finds its jobs again, waits for them and reads them into the journal: none is paid twice.
Every request has a key, and a reply belongs to the request with its key and to no other: services
answer in any order. A reply without one is kept in the journal, where it answers nothing.
"""

import collections
import dataclasses
import itertools
import json
import logging
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

from core.progress import progress
from core.usage import Usage
from service_llm.batch_jobs import (
    UNMATCHED,
    BatchJob,
    BatchProvider,
    BatchReply,
    JobLostError,
    match_replies,
)
from service_llm.errors import KEPT, BadRequestError, BudgetError, ServiceLLMError
from service_llm.journal.journal import Entry, Journal, request_key
from service_llm.pacing.persistence import Persistence
from service_llm.parsing import BAD_OUTPUT, REFUSED, TRUNCATED
from service_llm.reply_parser import MALFORMED_TRIES, Reader, next_attempt
from service_llm.types import Finish, Reply, Request, Result

_LOG = logging.getLogger(__name__)

_MOST_OPEN = 20_000  # requests held in memory
_MOST_IN_A_JOB = 5_000
_MOST_BYTES = 32_000_000  # of prompts; the Gemini Batch API takes files of 2 GB
_NO_ANSWER = {Finish.REFUSED: REFUSED, Finish.LENGTH: TRUNCATED}
_NAME = "understudy-{id}"
_READ = "read"  # the note of a job that brought replies


@dataclasses.dataclass
class _Open:
    """A request whose answer is still wanted."""

    request: Request
    attempt: Request
    number: int = 1
    failures: int = 0
    usage: Usage = dataclasses.field(default_factory=Usage)


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
        self._persistence = Persistence(reader.settings, wait)
        self._is_answered = False  # a request, by this service

    def take_up(self) -> None:
        """Read what jobs of an earlier process brought into the journal."""
        for job in self._pending():
            by_key = self._matched(job, self._left_over(job))
            for key, sent_key in zip(job.keys, job.sent_keys(), strict=True):
                found = by_key.get(sent_key)
                if found and found.reply is not None and self._journal.answer(key) is None:
                    self._append(self._unread(job, key, found.reply))
            self._note_end(job, by_key)

    def _left_over(self, job: BatchJob) -> list[BatchReply]:
        name = self._journal.note(f"{job.id}.job")
        if not name or "/" not in name:  # a name such as `None` is no job's
            name = self._persistence.call(lambda: self._found(job))
        try:
            return self._ended(name) if name else []
        except JobLostError as error:
            _LOG.warning("The batch job %s of an earlier run brought no replies: %s.", name, error)
            return []

    def _matched(self, job: BatchJob, replies: Sequence[BatchReply]) -> dict[str, BatchReply]:
        """Return replies by the key of their request; others are kept and reported."""
        by_key, unmatched = match_replies(job, replies)
        if unmatched:
            _LOG.warning(
                "%d replies of a batch job carry the key of no request, or one that another reply "
                "carries. They were paid for, so the journal keeps them, but they answer nothing.",
                len(unmatched),
            )
            self._append(
                *(
                    dataclasses.replace(self._unread(job, key, reply), error=UNMATCHED)
                    for key, reply in unmatched.items()
                )
            )
        return by_key

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
                    self._is_answered = True
                    yield result
                else:
                    todo.append(_Open(request, request))
            while todo:
                todo = yield from self._sent(todo)

    def _sent(self, todo: Sequence[_Open]) -> Generator[Result, None, list[_Open]]:
        """Submit all, yield results as jobs end, and return what has to be asked again."""
        waiting = collections.deque(todo)
        jobs: collections.deque[tuple[BatchJob, str, list[_Open]]] = collections.deque()
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
        """Return the next job: as much as fits and as the rest of the budget surely pays for."""
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
        self, job: BatchJob, name: str, part: Sequence[_Open], again: list[_Open]
    ) -> Iterator[Result]:
        try:
            replies = self._ended(name)
            by_key = self._matched(job, replies)
            if not by_key and not self._was_matched():
                which = "none of its replies carries the key of a request"
                raise JobLostError(which if replies else "it holds no reply")
        except JobLostError as error:
            self._journal.note(f"{job.id}.ended", "lost")
            raise ServiceLLMError(
                f"The batch job {name!r} brought no replies: {error}. Run the same command "
                "again to resubmit its requests, or set service_llm.batch to false."
            ) from error
        missing = BatchReply(None, None, "no reply came back with its key")
        items = [
            (item, by_key.get(key, missing))
            for item, key in zip(part, job.sent_keys(), strict=True)
        ]
        read = [
            (item, found, self._reader.read(item.request, found.reply) if found.reply else None)
            for item, found in items
        ]
        self._append(*(answered[1] for *_, answered in read if answered))
        self._raise_if_none_can_be_answered(job, [found for _, found in items])
        self._note_end(job, by_key)
        for item, found, answered in read:
            if found.reply is None or answered is None:
                yield from self._failed(item, found, again)
                continue
            value, entry = answered
            item.usage += entry.usage
            if entry.error == BAD_OUTPUT and item.number < MALFORMED_TRIES:
                item.attempt = next_attempt(item.request, item.number)
                item.number += 1
                again.append(item)
                continue
            yield Result.of(item.request, value, entry.error, found.reply, item.usage)

    def _was_matched(self) -> bool:
        """Whether any job has brought a reply with its request's key."""
        return _READ in self._journal.notes(".ended").values()

    def _note_end(self, job: BatchJob, by_key: Mapping[str, BatchReply]) -> None:
        has_replies = any(found.reply is not None for found in by_key.values())
        self._journal.note(f"{job.id}.ended", _READ if has_replies else "without replies")

    def _raise_if_none_can_be_answered(self, job: BatchJob, found: Sequence[BatchReply]) -> None:
        """End a run in which no further request would be answered, in the service's words."""
        ending = next((item.ends_run for item in found if item.ends_run), None)
        if ending is None:
            if self._is_answered or not all(item.is_permanent for item in found):
                return
            if self._was_matched():
                return
            ending = BadRequestError(
                f"{found[0].error} The service refused all {len(found)} requests of the first "
                f"batch job. Check the model and the settings of the service LLM. {KEPT}"
            )
        self._journal.note(f"{job.id}.ended", "refused")
        raise ending

    def _submitted(self, part: Sequence[_Open]) -> tuple[BatchJob, str]:
        keys = [request_key(self._reader.settings, item.request) for item in part]
        job = BatchJob(uuid.uuid4().hex, self._reader.component, self._reader.round, keys)
        self._journal.note(f"{job.id}.batch", json.dumps(dataclasses.asdict(job)))
        attempts = dict(zip(job.sent_keys(), (item.attempt for item in part), strict=True))
        tries = itertools.count()

        def submit() -> str:
            # The job may have been created although the response was lost.
            earlier = self._found(job) if next(tries) else None
            return earlier or self._provider.submit(attempts, _NAME.format(id=job.id))

        name = self._persistence.call(submit)
        self._journal.note(f"{job.id}.job", name)
        return job, name

    def _ended(self, name: str) -> list[BatchReply]:
        while True:
            replies = self._persistence.call(lambda: self._provider.replies(name))
            if replies is not None:
                return replies
            progress.info("waiting for the batch job %s", name)
            self._wait(self._reader.settings.batch_poll_seconds)

    def _found(self, job: BatchJob) -> str | None:
        return self._provider.find(_NAME.format(id=job.id))

    def _failed(self, item: _Open, found: BatchReply, again: list[_Open]) -> Iterator[Result]:
        """Ask again for what may come; what would fail again ends with its reason."""
        item.failures += not found.is_adapted
        is_tried = found.is_permanent or item.failures >= self._reader.settings.max_attempts
        if found.is_adapted or not is_tried:
            again.append(item)
            return
        if not (found.is_permanent or self._is_answered or self._was_matched()):
            raise ServiceLLMError(
                f"{found.error} None of {item.failures} batch jobs brought a reply. Check that the "
                f"service runs, and its quota. {KEPT}"
            )
        yield Result(item.request, None, REFUSED, found.error, item.usage, False)

    def _pending(self) -> list[BatchJob]:
        jobs = []
        for name, text in self._journal.notes(".batch").items():
            if (job := BatchJob.of_note(text)) is None:
                _LOG.warning("The note %s of a batch job cannot be read and is skipped.", name)
            else:
                jobs.append(job)
        return [job for job in jobs if self._journal.note(f"{job.id}.ended") is None]

    def _unread(self, job: BatchJob, key: str, reply: Reply) -> Entry:
        """Return the line of a reply whose schema is unknown here: it is parsed on demand."""
        reader = dataclasses.replace(self._reader, component=job.component, round=job.round)
        return reader.entry(key, reply, _NO_ANSWER.get(reply.finish))

    def _append(self, *entries: Entry) -> None:
        for future in [self._journal.append(entry) for entry in entries]:
            future.result()
