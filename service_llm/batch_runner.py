"""Submits batch jobs, waits for them, and writes down what they were and what they brought."""

import dataclasses
import itertools
import json
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence

from core.progress import progress
from service_llm.batch_jobs import (
    UNMATCHED,
    BatchJob,
    BatchProvider,
    BatchReply,
    JobLostError,
    Unended,
    match_replies,
    place_of,
)
from service_llm.errors import KEPT, ServiceLLMError
from service_llm.journal.journal import Entry, Journal, request_key
from service_llm.pacing.persistence import Persistence
from service_llm.parsing import REFUSED, TRUNCATED
from service_llm.refusals import Refusal
from service_llm.reply_parser import Reader
from service_llm.types import Finish, Reply, Request

_LOG = logging.getLogger(__name__)

_NO_ANSWER = {Finish.REFUSED: REFUSED, Finish.LENGTH: TRUNCATED}
_NAME = "understudy-{id}"
_READ = "read"  # the note of a job that brought replies


class JobRunner:
    """Runs jobs of a provider, so that none is paid twice.

    Args:
        provider: Runs the jobs.
        journal: Where replies and jobs are written down.
        reader: Reads replies.
        wait: Called between two looks at a job.
    """

    def __init__(
        self,
        provider: BatchProvider,
        journal: Journal,
        reader: Reader,
        wait: Callable[[float], None],
    ) -> None:
        self._provider = provider
        self._journal = journal
        self._reader = reader
        self._wait = wait
        self._persistence = Persistence(reader.settings, wait)
        self._refusals: dict[str, Refusal] = {}  # by key: of requests of earlier processes

    def take_up(self, said: set[str]) -> None:
        """Read what jobs of an earlier process brought into the journal.

        Those of another service are left on record: only a run that asks there can read them.

        Args:
            said: The jobs of which this was said; further ones are added.
        """
        for job in self._pending():
            name = self._journal.note(f"{job.id}.job")
            if job.is_elsewhere(name, self._reader.settings):
                if job.id not in said:
                    self._say_it_is_elsewhere(job, name)
                said.add(job.id)
                continue
            by_key = self.matched(job, self._left_over(job, name))
            unread = {}
            for key, sent_key in zip(job.keys, job.sent_keys(), strict=True):
                found = by_key.get(sent_key)
                if found is None:
                    continue
                if found.refusal is not None:
                    self._refusals[key] = found.refusal
                # The lines of an earlier version do not say which item they are of.
                if found.reply and (job.place or self._journal.answer(key) is None):
                    unread[sent_key] = self._unread(job, key, found.reply)
            self.append(job, unread)
            self.note_end(job, by_key)

    def submitted(
        self, requests: Sequence[Request], attempts: Sequence[Request]
    ) -> tuple[BatchJob, str]:
        """Start a job of requests, and write it down before and after.

        Args:
            requests: What is wanted.
            attempts: What is sent for each of them.

        Returns:
            The job, and what `ended` knows it by.
        """
        keys = [request_key(self._reader.settings, request) for request in requests]
        place = place_of(self._reader.settings)
        job = BatchJob(uuid.uuid4().hex, self._reader.component, self._reader.round, keys, place)
        for key, attempt in zip(keys, attempts, strict=True):
            if refusal := self._refusals.pop(key, None):
                self._provider.learn(attempt, refusal)
        self._journal.note(f"{job.id}.batch", json.dumps(dataclasses.asdict(job)))
        by_key = dict(zip(job.sent_keys(), attempts, strict=True))
        tries = itertools.count()

        def submit() -> str:
            # The job may have been created although the response was lost.
            earlier = self._found(job) if next(tries) else None
            return earlier or self._provider.submit(by_key, _NAME.format(id=job.id))

        name = self._persistence.call(submit)
        self._journal.note(f"{job.id}.job", name)
        return job, name

    def ended(self, name: str) -> list[BatchReply]:
        """Wait for a job to end, and return what it brought.

        Raises:
            JobLostError: It returned nothing.
            ServiceLLMError: It does not end by itself; it stays on record.
        """
        settings = self._reader.settings
        stopped = 0.0  # seconds
        while True:
            found = self._persistence.call(lambda: self._provider.replies(name))
            if not isinstance(found, Unended):
                return found
            if found.is_in_progress:
                stopped = 0.0
            elif stopped >= settings.give_up_after_seconds:
                raise ServiceLLMError(
                    f"The batch job {name!r} has been in the state {found.state!r} for "
                    f"{stopped:.0f} s and may not end by itself. Resume or cancel it at the "
                    f"service; it stays on record. {KEPT}"
                )
            else:
                stopped += settings.batch_poll_seconds
            progress.info("waiting for the batch job %s (%s)", name, found.state)
            self._wait(settings.batch_poll_seconds)

    def matched(self, job: BatchJob, replies: Sequence[BatchReply]) -> dict[str, BatchReply]:
        """Return replies by the key of their request; others are kept and reported."""
        by_key, unmatched = match_replies(job, replies)
        if unmatched:
            _LOG.warning(
                "%d replies of a batch job carry the key of no request, or one that another reply "
                "carries. They were paid for, so the journal keeps them, but they answer nothing.",
                len(unmatched),
            )
            self.append(
                job,
                {
                    key: dataclasses.replace(self._unread(job, key, reply), error=UNMATCHED)
                    for key, reply in unmatched.items()
                },
            )
        return by_key

    def was_matched(self) -> bool:
        """Whether any job has returned a reply with its request's key."""
        return _READ in self._journal.notes(".ended").values()

    def note_end(self, job: BatchJob, by_key: Mapping[str, BatchReply]) -> None:
        """Write down that a job has been read."""
        has_replies = any(found.reply is not None for found in by_key.values())
        self._journal.note(f"{job.id}.ended", _READ if has_replies else "without replies")

    def note_lost(self, job: BatchJob, how: str) -> None:
        """Write down that a job is of no use, so that no later run looks for it."""
        self._journal.note(f"{job.id}.ended", how)

    def append(self, job: BatchJob, entries: Mapping[str, Entry]) -> None:
        """Write replies of a job to the journal; they are on disk when this returns.

        Those that a process wrote which was killed before it noted the job's end are left out.

        Args:
            job: The job.
            entries: By what is theirs alone in the job.
        """
        by_source = {f"{job.id}/{name}": entry for name, entry in entries.items()}
        futures = [
            self._journal.append(dataclasses.replace(entry, source=source))
            for source, entry in by_source.items()
            if not self._journal.has_source(source)
        ]
        for future in futures:
            future.result()

    def _say_it_is_elsewhere(self, job: BatchJob, name: str | None) -> None:
        own, other = place_of(self._reader.settings), job.place or "another place"
        _LOG.warning(
            "The batch job %s of an earlier run is not of %s, but of %s: it is left on record, and "
            "read by the next run with the settings that it was started with.",
            *(name or job.id, own, other),
        )

    def _left_over(self, job: BatchJob, name: str | None) -> list[BatchReply]:
        if not name or "/" not in name:  # a name such as `None` is no job's
            name = self._persistence.call(lambda: self._found(job))
        try:
            return self.ended(name) if name else []
        except JobLostError as error:
            _LOG.warning("The batch job %s of an earlier run returned no replies: %s.", name, error)
            if error.refusal is not None:
                self._refusals |= dict.fromkeys(job.keys, error.refusal)
            return []

    def _found(self, job: BatchJob) -> str | None:
        return self._provider.find(_NAME.format(id=job.id))

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
