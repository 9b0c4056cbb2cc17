"""Sends requests to the service LLM: from the journal where it can, paced and retried elsewhere."""

import asyncio
import contextlib
import queue
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any

from components.service_llm.attempts import MALFORMED_TRIES, Reader, next_attempt
from components.service_llm.batch import Batches
from components.service_llm.cost import price_of
from components.service_llm.errors import BudgetError, ServiceLLMError, TransientError
from components.service_llm.journal import Journal, request_key
from components.service_llm.limiter import limiter_for
from components.service_llm.parsing import BAD_OUTPUT, parse
from components.service_llm.provider import open_provider
from components.service_llm.settings import ServiceLLMSettings
from components.service_llm.types import Reply, Request, Result, Usage

_MOST_WAITING = 32  # requests that wait for a permit; more would only take memory
_LONGEST_RETRY_SECONDS = 60.0


@contextlib.contextmanager
def open_service_llm(
    settings: ServiceLLMSettings, *, journal_uri: str, component: str, round: int
) -> "Iterator[ServiceLLM]":
    """A service LLM for one component's part of a round.

    Args:
        settings: The service LLM.
        journal_uri: Folder or `gs://` URI of the journal.
        component: Who asks; what its replies used is counted under this name.
        round: The round it asks for.

    Raises:
        UserError: The settings, the key or the journal cannot be used.
    """
    if settings.budget_usd is not None and price_of(settings) is None:
        raise ServiceLLMError(
            f"budget_usd is {settings.budget_usd}, but the price of {settings.model!r} is unknown. "
            "Set service_llm.price, or remove budget_usd."
        )
    with contextlib.closing(Journal(journal_uri)) as journal:
        service = ServiceLLM(settings, journal, component, round)
        try:
            yield service
        finally:
            service.close()


class ServiceLLM:
    """See `open_service_llm`."""

    def __init__(
        self, settings: ServiceLLMSettings, journal: Journal, component: str, round: int
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._reader = Reader(settings, component, round)
        self._limiter = limiter_for(settings)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._provider: Any = None
        self._turn = asyncio.Lock()
        self._stop = asyncio.Event()

    def map(self, requests: Iterable[Request]) -> Iterator[Result]:
        """Send requests, as many at once as the service allows.

        Args:
            requests: Taken one by one, as there is room for them, in the caller's thread.

        Yields:
            Results in the order in which they are completed; those in the journal at once.

        Raises:
            ServiceLLMError: The service cannot be used any further. What is under way by then is
                waited for and kept in the journal.
        """
        if self._settings.batch:
            yield from self._batches().map(requests, self._from_journal)
            return
        # None: a request has got its permit, so that there is room for the next to wait for one.
        events: queue.SimpleQueue[Future[Result] | None] = queue.SimpleQueue()
        under_way: set[Future[Result]] = set()
        waiting = 0
        source = iter(requests)
        more = True
        try:
            while more or under_way:
                while (
                    more and waiting < _MOST_WAITING and len(under_way) < self._limiter.concurrency
                ):
                    request = next(source, None)
                    if request is None:
                        more = False
                    elif (known := self._from_journal(request)) is not None:
                        yield known
                    else:
                        asked = self._ask(request, lambda: events.put(None))
                        future = asyncio.run_coroutine_threadsafe(asked, self._loop)
                        under_way.add(future)
                        waiting += 1
                        future.add_done_callback(events.put)
                if not under_way:
                    continue
                event = events.get()
                if event is None:
                    waiting -= 1
                else:
                    under_way.remove(event)
                    yield event.result()
        finally:
            self._finish(under_way)

    def usage(self) -> Usage:
        """What this component's requests of this round used, over all interruptions."""
        return self._journal.usage(self._reader.component, self._reader.round)

    def salt(self) -> bytes:
        """Random bytes of the journal, for the keys of blocks."""
        return self._journal.salt()

    def close(self) -> None:
        """Close the connections and end the thread."""
        if self._provider is not None:
            asyncio.run_coroutine_threadsafe(self._provider.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _finish(self, under_way: set[Future[Result]]) -> None:
        """Send nothing more, and wait for the replies to what was sent: they are paid for."""
        if not under_way:
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        for future in under_way:
            with contextlib.suppress(Exception, CancelledError):
                future.result(timeout=self._settings.timeout_seconds + 1)
        self._loop.call_soon_threadsafe(self._stop.clear)

    def _batches(self) -> Batches:
        from components.service_llm.gemini_batch import GeminiBatches

        batches = Batches(
            GeminiBatches(self._settings),
            self._journal,
            self._reader,
            before_job=self._check_budget,
            wait=time.sleep,
        )
        batches.take_up()
        return batches

    def _from_journal(self, request: Request) -> Result | None:
        reply = self._journal.answer(request_key(self._settings, request))
        if reply is None:
            return None
        value, error = parse(reply, request.schema)
        if value is None or error:
            return None  # written by a version of this code that read replies differently
        return Result(request, value, None, reply.text, Usage(), True, reply.model_version)

    async def _ask(self, request: Request, permitted: Callable[[], None]) -> Result:
        usage = Usage()
        attempt = request
        for number in range(1, MALFORMED_TRIES + 1):
            reply = await self._send(attempt, permitted if number == 1 else lambda: None)
            value, entry = self._reader.read(request, reply)
            await asyncio.wrap_future(self._journal.append(entry))
            usage += entry.usage
            if entry.error != BAD_OUTPUT:
                break
            attempt = next_attempt(request, number)
        return Result(request, value, entry.error, reply.text, usage, False, reply.model_version)

    async def _send(self, request: Request, permitted: Callable[[], None]) -> Reply:
        """One reply, however many times the request has to be sent for it."""
        expected = self._limiter.expected_tokens(len(request.prompt) + len(request.system))
        failures = 0
        while True:
            await self._permit(expected)
            if failures == 0:
                permitted()
            sent_at, successes = self._limiter.now(), self._limiter.successes
            try:
                if self._provider is None:
                    self._provider = open_provider(self._settings)
                reply = await self._provider.send(request)
            except TransientError as error:
                if error.is_quota and self._limiter.successes > successes:
                    failures = 0  # the quota lets replies through: it is only a matter of waiting
                failures += 1
                if failures >= self._settings.max_attempts:
                    raise error.final(failures) from error
                await self._back_off(error, failures, sent_at)
                continue
            self._limiter.succeeded(expected, reply.prompt_tokens, reply.output_tokens)
            return reply

    async def _permit(self, expected_tokens: int) -> None:
        async with self._turn:  # in order, and only one waits for the clock
            while True:
                self._raise_if_stopped()
                self._check_budget()
                wait = self._limiter.try_acquire(expected_tokens)
                if wait == 0:
                    return
                await self._sleep(wait)

    async def _back_off(self, error: TransientError, failures: int, sent_at: float) -> None:
        if error.is_quota:
            self._limiter.quota_exceeded(sent_at, error.wait_seconds)
            return  # the next permit comes after the pause
        self._limiter.overloaded()
        doubled = self._settings.retry_seconds * 2 ** (failures - 1)
        wait = min(doubled, _LONGEST_RETRY_SECONDS) * random.uniform(0.5, 1.5)
        await self._sleep(max(wait, error.wait_seconds or 0.0))

    async def _sleep(self, seconds: float) -> None:
        """Wait, but no longer than until `_finish` wants no more requests."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)
        self._raise_if_stopped()

    def _raise_if_stopped(self) -> None:
        if self._stop.is_set():
            raise asyncio.CancelledError

    def _check_budget(self) -> None:
        budget = self._settings.budget_usd
        spent = self._journal.total().cost_usd
        if budget is not None and spent is not None and spent >= budget:
            raise BudgetError(spent, budget)
