"""Sends requests as jobs of a batch API: cheaper, and answered within a day instead of at once.

A job's requests are written down before it is submitted and its name right after, so a run that
was killed finds its jobs again, waits for them and reads them into the journal: none is paid twice.
Every request has a key, and a reply belongs to the request with its key and to no other: services
answer in any order. A reply without one is kept in the journal, where it answers nothing.
"""

import collections
import dataclasses
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

from core.usage import Usage
from service_llm.batch_jobs import BatchJob, BatchReply, JobLostError, missing_reply
from service_llm.batch_runner import JobRunner
from service_llm.errors import KEPT, BadRequestError, BudgetError, ServiceLLMError
from service_llm.parsing import BAD_OUTPUT, REFUSED
from service_llm.reply_parser import MALFORMED_TRIES, Reader, next_attempt
from service_llm.types import Request, Result

_MAX_OPEN = 20_000  # requests held in memory
_MAX_IN_A_JOB = 5_000
_MAX_BYTES = 32_000_000  # of prompts; the Gemini Batch API takes files of 2 GB


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
        jobs: Runs the jobs.
        reader: Reads replies.
        left_usd: What may be spent yet, infinite without a budget; raises BudgetError where that is
            nothing.
    """

    def __init__(self, jobs: JobRunner, reader: Reader, left_usd: Callable[[], float]) -> None:
        self._jobs = jobs
        self._reader = reader
        self._left_usd = left_usd
        self._is_answered = False  # a request, by this service

    def map(
        self, requests: Iterable[Request], known: Callable[[Request], Result | None]
    ) -> Iterator[Result]:
        """Results of requests, those that `known` has at once.

        Raises:
            ServiceLLMError: The service cannot be used any further.
        """
        source = iter(requests)
        while window := list(itertools.islice(source, _MAX_OPEN)):
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
                requests = [item.request for item in part]
                attempts = [item.attempt for item in part]
                jobs.append((*self._jobs.submitted(requests, attempts), part))
            else:
                yield from self._results(*jobs.popleft(), again)
        return again

    def _next_part(
        self, waiting: collections.deque[_Open], in_flight: Sequence[_Open]
    ) -> list[_Open]:
        """Return the next job: as much as fits and as the rest of the budget surely pays for."""
        part: list[_Open] = []
        size = 0
        if not waiting:
            return part
        try:
            left_usd = self._left_usd()
        except BudgetError:
            if not in_flight:
                raise
            return part
        left_usd -= sum(self._reader.max_usd(item.attempt) for item in in_flight)
        while waiting and len(part) < _MAX_IN_A_JOB:
            attempt = waiting[0].attempt
            size += len(attempt.prompt.encode()) + len(attempt.system.encode())
            left_usd -= self._reader.max_usd(attempt)
            if (size > _MAX_BYTES or left_usd < 0) and (part or in_flight):
                break
            part.append(waiting.popleft())
        return part

    def _results(
        self, job: BatchJob, name: str, part: Sequence[_Open], again: list[_Open]
    ) -> Iterator[Result]:
        try:
            replies = self._jobs.ended(name)
            by_key = self._jobs.matched(job, replies)
            if not by_key and not self._jobs.was_matched():
                which = "none of its replies carries the key of a request"
                raise JobLostError(which if replies else "it holds no reply")
        except JobLostError as error:
            self._jobs.note_lost(job, "lost")
            raise ServiceLLMError(
                f"The batch job {name!r} returned no replies: {error}. Run the same command "
                "again to resubmit its requests, or set service_llm.batch to false."
            ) from error
        missing = missing_reply(job, replies)
        sent_keys = job.sent_keys()
        items = [
            (item, by_key.get(key, missing)) for item, key in zip(part, sent_keys, strict=True)
        ]
        read = [
            (item, found, self._reader.read(item.request, found.reply) if found.reply else None)
            for item, found in items
        ]
        keyed = zip(sent_keys, read, strict=True)
        self._jobs.append(job, {key: answered[1] for key, (*_, answered) in keyed if answered})
        self._raise_if_none_can_be_answered(job, [found for _, found in items])
        self._jobs.note_end(job, by_key)
        self._is_answered = self._is_answered or any(answered for *_, answered in read)
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

    def _raise_if_none_can_be_answered(self, job: BatchJob, found: Sequence[BatchReply]) -> None:
        """End a run in which no further request would be answered, in the service's words."""
        others_answered = any(item.reply for item in found)
        errors = [item.ends_run for item in found if item.ends_run]
        if others_answered:  # a request may be what a filter refuses as forbidden
            errors = [error for error in errors if not getattr(error, "reason", "")]
        ending = next(iter(errors), None)
        if ending is None:
            if self._is_answered or not all(item.is_permanent for item in found):
                return
            if self._jobs.was_matched():
                return
            ending = BadRequestError(
                f"{found[0].error} The service refused all {len(found)} requests of the first "
                f"batch job. Check the model and the settings of the service LLM. {KEPT}"
            )
        self._jobs.note_lost(job, "refused")
        raise ending

    def _failed(self, item: _Open, found: BatchReply, again: list[_Open]) -> Iterator[Result]:
        """Ask again for what may come; what would fail again ends with its reason."""
        item.failures += not found.is_adapted
        is_tried = found.is_permanent or item.failures >= self._reader.settings.max_attempts
        if found.is_adapted or not is_tried:
            again.append(item)
            return
        if not (found.is_permanent or self._is_answered or self._jobs.was_matched()):
            raise ServiceLLMError(
                f"{found.error} None of {item.failures} batch jobs returned a reply. Check that "
                f"the service runs, and the quota. {KEPT}"
            )
        yield Result(item.request, None, REFUSED, found.error, item.usage, False)
