"""Sends requests to the service LLM: from the journal where it can, paced and retried elsewhere."""

import asyncio
import contextlib
import enum
import math
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait

from core.interruption import interruption
from core.usage import Usage
from service_llm.batch import Batches
from service_llm.batch_runner import JobRunner
from service_llm.cost import price_of
from service_llm.errors import BudgetError, RejectedError, ServiceLLMError
from service_llm.journal.journal import Journal, request_key, request_kind
from service_llm.pacing.limiter import limiter_for
from service_llm.parsing import BAD_OUTPUT, REFUSED, parse
from service_llm.reply_parser import MALFORMED_TRIES, Reader, next_attempt
from service_llm.sender import Sender
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Request, Result

_MAX_WAITING = 32  # requests that wait for a permit; more would only take memory
_LOOK_SECONDS = 0.1  # whether Ctrl-C was pressed, while replies are waited for


class _Event(enum.Enum):
    PERMITTED = "permitted"
    STUCK = "stuck"


@contextlib.contextmanager
def open_service_llm(
    settings: ServiceLLMSettings, *, journal_uri: str, component: str, round: int
) -> "Iterator[ServiceLLM]":
    """Return a service LLM for one component's part of a round.

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
        self._limiter.count_earlier(journal.earlier(self._reader.service))
        self._sender = Sender(
            settings,
            self._limiter,
            self._left_usd,
            lambda request: journal.has_kind(request_kind(settings, request)),
        )
        self._said: set[str] = set()  # batch jobs that cannot be read here
        self._has_kept = False
        self._first_room = 1
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def map(self, requests: Iterable[Request]) -> Iterator[Result]:
        """Send requests, as many at once as the service allows.

        Args:
            requests: Taken one by one, as there is room for them, in the caller's thread.

        Yields:
            Results in the order in which they are completed; those in the journal at once.

        Raises:
            ServiceLLMError: The service can no longer be used. What is in flight by then is
                waited for and kept in the journal.
            KeyboardInterrupt: Ctrl-C was pressed. What is in flight by then is waited for, too, for
                two seconds.
        """
        if self._settings.batch:
            yield from self._mapped_by_batches(requests)
            return
        # A request has got its permit, so that there is room for the next to wait for one; or it
        # failed, and there may be room for a second.
        events: queue.SimpleQueue[Future[Result] | _Event] = queue.SimpleQueue()
        in_flight: set[Future[Result]] = set()
        waiting = 0
        source = iter(requests)
        more = True
        try:
            while more or in_flight:
                while more and waiting < _MAX_WAITING and len(in_flight) < self._room():
                    request = next(source, None)
                    if request is None:
                        more = False
                    elif (known := self._from_journal(request)) is not None:
                        yield known
                    else:
                        asked = self._ask(request, events.put)
                        future = asyncio.run_coroutine_threadsafe(asked, self._loop)
                        in_flight.add(future)
                        waiting += 1
                        future.add_done_callback(events.put)
                if not in_flight:
                    continue
                event = events.get()
                if event is _Event.PERMITTED:
                    waiting -= 1
                elif not isinstance(event, _Event):
                    in_flight.remove(event)
                    if event.cancelled() and interruption.is_requested:
                        raise KeyboardInterrupt
                    yield event.result()
        finally:
            self._finish(in_flight)

    def usage(self) -> Usage:
        """Return what this component's requests of this round used, over all interruptions."""
        return self._journal.usage(self._reader.component, self._reader.round)

    def salt(self) -> bytes:
        """Random bytes of the journal, for the keys of blocks."""
        return self._journal.salt()

    def close(self) -> None:
        """Close the connections and end the thread."""
        asyncio.run_coroutine_threadsafe(self._sender.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _room(self) -> int:
        """Return how many requests may be in flight: one, until a reply has been kept.

        Two where the first fails at the service: the second shows whether all do.
        """
        return self._limiter.concurrency if self._has_kept else self._first_room

    def _finish(self, in_flight: set[Future[Result]]) -> None:
        """Send nothing more, and wait for the replies to what was sent: they are paid for.

        After Ctrl-C they have two seconds.
        """
        if not in_flight:
            return
        self._loop.call_soon_threadsafe(self._sender.stop)
        end = time.monotonic() + self._settings.timeout_seconds + 1
        with interruption.finishing():
            while in_flight and min(end - time.monotonic(), interruption.seconds_left()) > 0:
                _, in_flight = wait(in_flight, timeout=_LOOK_SECONDS)
        for future in in_flight:
            future.cancel()
        self._loop.call_soon_threadsafe(self._sender.go_on)

    def _mapped_by_batches(self, requests: Iterable[Request]) -> Iterator[Result]:
        from service_llm.providers.gemini_batch import GeminiBatches

        with contextlib.closing(GeminiBatches(self._settings)) as provider:
            jobs = JobRunner(provider, self._journal, self._reader, wait=time.sleep)
            jobs.take_up(self._said)
            batches = Batches(jobs, self._reader, self._left_usd)
            yield from batches.map(requests, self._from_journal)

    def _from_journal(self, request: Request) -> Result | None:
        reply = self._journal.answer(request_key(self._settings, request))
        if reply is None:
            return None
        value, error = parse(reply, request.schema)
        if value is None or error:
            return None  # written by a version of this code that read replies differently
        self._sender.known(request)
        return Result(request, value, None, reply.text, Usage(), True, reply.model_version, reply)

    async def _ask(self, request: Request, tell: "Callable[[_Event], None]") -> Result:
        def stuck() -> None:
            self._first_room = 2
            tell(_Event.STUCK)

        usage = Usage()
        attempt = request
        for number in range(1, MALFORMED_TRIES + 1):
            permitted = (lambda: tell(_Event.PERMITTED)) if number == 1 else (lambda: None)
            try:
                reply = await self._sender.send(attempt, permitted, stuck)
            except RejectedError as error:
                return Result(request, None, REFUSED, str(error), usage, False)
            value, entry = self._reader.read(request, reply)
            # What was received is written, also where nobody waits for it any longer.
            await asyncio.shield(asyncio.wrap_future(self._journal.append(entry)))
            self._has_kept = True
            usage += entry.usage
            if entry.error != BAD_OUTPUT:
                break
            attempt = next_attempt(request, number)
        return Result.of(request, value, entry.error, reply, usage)

    def _left_usd(self) -> float:
        budget = self._settings.budget_usd
        if budget is None:
            return math.inf
        if (spent := self._journal.spent_usd()) >= budget:
            raise BudgetError(spent, budget, self._settings.model)
        return budget - spent
