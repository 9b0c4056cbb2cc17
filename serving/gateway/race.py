"""Slow is not dead: past the limit for the first byte the tuned model starts in parallel."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from serving.gateway import faults
from serving.gateway.faults import Failure, Fault, Scope
from serving.gateway.model_server import ModelFailedError
from serving.gateway.protocols.base import ModelAnswer
from serving.gateway.service_call import Outcome, ServiceCall


class Finish(NamedTuple):
    """How a race ended.

    Attributes:
        outcome: Of the service; None where it was not waited for any longer.
        failure: Of the service; None where its answer is to be given.
        answer: Of the tuned model; None where it was not asked, or failed.
        model_error: Why the tuned model failed; None where it did not.
        open_call: The service's request where it is still open; whoever gets it ends it.
    """

    outcome: Outcome | None
    failure: Failure | None
    answer: ModelAnswer | None = None
    model_error: ModelFailedError | None = None
    open_call: "asyncio.Task[Outcome] | None" = None


class Race:
    """The service's call, and the tuned model in parallel where the first byte is late.

    Args:
        call: The request at the service.
        ask_model: Asks the tuned model.
        limit_seconds: Until the tuned model starts.
        usual_seconds: The same for a patient caller: before them a silent service has not failed.
        max_seconds: Until the service is given up.
    """

    def __init__(
        self,
        call: ServiceCall,
        ask_model: Callable[[], Coroutine[Any, Any, ModelAnswer]],
        limit_seconds: float,
        usual_seconds: float,
        max_seconds: float,
    ) -> None:
        self._call = call
        self._ask_model = ask_model
        self._limit_seconds = limit_seconds
        self._usual_seconds = usual_seconds
        self._max_seconds = max(max_seconds, limit_seconds)

    async def run(self) -> Finish:
        """Return the first whole answer.

        An answer of the service that is too long to be held back counts as whole.
        """
        loop = asyncio.get_running_loop()
        is_decided: asyncio.Future[None] = loop.create_future()

        def decide(_: object = None) -> None:
            if not is_decided.done():
                is_decided.set_result(None)

        timer = loop.call_later(self._limit_seconds, decide)
        self._call.on_first_byte = timer.cancel
        started = time.monotonic()
        service = asyncio.create_task(self._call.run())
        service.add_done_callback(decide)
        model: asyncio.Task[ModelAnswer] | None = None
        finish: Finish | None = None
        try:
            await is_decided
            if service.done():
                outcome = service.result()
                finish = Finish(outcome, outcome.failure)
            else:
                model = asyncio.create_task(self._ask_model())
                finish = await self._both(service, model, started)
            return finish
        finally:
            timer.cancel()
            is_kept = finish is not None and finish.open_call is not None
            await _stopped(None if is_kept else service, model)

    async def _both(
        self,
        service: asyncio.Task[Outcome],
        model: asyncio.Task[ModelAnswer],
        started: float,
    ) -> Finish:
        give_up_at = started + self._max_seconds
        error: ModelFailedError | None = None
        failure: Failure | None = None
        outcome: Outcome | None = None
        pending: set[asyncio.Task[Outcome] | asyncio.Task[ModelAnswer]] = {service, model}
        while pending:
            seconds = max(0.0, give_up_at - time.monotonic()) if service in pending else None
            done, _ = await asyncio.wait(
                pending, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:  # the service is given up; the tuned model goes on
                service.cancel()
                pending.discard(service)
                failure = self._late(started)
            pending -= done
            if service in done:
                outcome = service.result()
                failure = outcome.failure
                if failure is None:
                    return Finish(outcome, None)
            if model in done:
                try:
                    open_call = service if service in pending else None
                    late = failure or self._late(started)
                    return Finish(outcome, late, model.result(), None, open_call)
                except ModelFailedError as failed:
                    error = failed
        return Finish(outcome, failure or self._late(started), None, error)

    def _late(self, started: float) -> Failure:
        """Return the failure of a service that has sent no byte until now."""
        text = f"the service sent no byte within {self._limit_seconds:.3g} s"
        late = faults.failure(Fault.FIRST_BYTE, text)
        is_usual = self._limit_seconds >= self._usual_seconds
        if is_usual or time.monotonic() - started >= self._usual_seconds:
            return late
        return late._replace(scope=Scope.CALLER)


async def _stopped(*tasks: "asyncio.Task[Outcome] | asyncio.Task[ModelAnswer] | None") -> None:
    """Cancel what still runs, and wait until it has let go of its connections."""
    started = [task for task in tasks if task is not None]
    running = [task for task in started if not task.done()]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)
    for task in started:
        if not task.cancelled():
            task.exception()  # seen, or asyncio would report it as lost
