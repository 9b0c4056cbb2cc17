"""Watches a service that lost against the tuned model, to learn how slow it is when it is well."""

import asyncio

from serving.gateway.first_byte import FirstByteLimits, Kind
from serving.gateway.service_call import Outcome, ServiceCall


class LateAnswers:
    """Requests whose answer is not needed any more, open until their first byte.

    Without them a service that became slower than the learned limit, but is well, would lose every
    race, and its breaker would never close: nobody would learn of its healthy answers. One request
    of each kind is watched at a time; nothing is sent for it that was not sent before.

    Args:
        limits: What learns.
    """

    def __init__(self, limits: FirstByteLimits) -> None:
        self._limits = limits
        self._watched: dict[Kind, asyncio.Task[Outcome]] = {}

    def watch(self, kind: Kind, call: ServiceCall, task: "asyncio.Task[Outcome]") -> None:
        """Take over a request that is still open, and end it sooner or later.

        Args:
            kind: Of its answer.
            call: The request.
            task: Runs it.
        """

        def first_byte() -> None:
            if call.is_accepted and call.first_byte_seconds is not None:
                self._limits.record_late(kind, call.first_byte_seconds)
            task.cancel()

        def over(_: object) -> None:
            timer.cancel()
            call.close()
            if self._watched.get(kind) is task:
                del self._watched[kind]
            if not task.cancelled():
                task.exception()  # seen, or asyncio would report it as lost

        timer = asyncio.get_running_loop().call_later(self._limits.max_seconds, task.cancel)
        task.add_done_callback(over)
        if kind in self._watched:
            task.cancel()
            return
        self._watched[kind] = task
        call.on_first_byte = first_byte
        if call.first_byte_seconds is not None:  # it came, but not all in time
            first_byte()

    async def close(self) -> None:
        """End all of them."""
        tasks = list(self._watched.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
