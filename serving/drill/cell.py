"""One cell of a drill: a fault, as one kind of client meets it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from serving.drill.clients import Application, Reply
from serving.drill.faults import ADDRESS_ONLY
from serving.drill.proxy import FaultProxy
from serving.drill.record import Cell, Protocol

_RETURN_SECONDS = 60.0  # after which the way back counts as not found
_POLL_SECONDS = 0.25


class Tally:
    """Counts replies.

    Args:
        version: What the tuned model calls itself.
    """

    def __init__(self, version: str) -> None:
        self._version = version
        self.requests = self.lost = self.half = 0
        self.by_service = self.by_model = 0
        self.errors: list[str] = []

    def is_of_model(self, reply: Reply) -> bool:
        """Whether the tuned model gave an answer."""
        return reply.is_whole and reply.version == self._version

    def add(self, reply: Reply) -> None:
        """Count a reply."""
        self.requests += 1
        if not reply.is_whole:
            self.lost += 1
            self.half += bool(reply.text)
            self.errors.append(reply.error or "the answer has no text or no finish reason")
        elif self.is_of_model(reply):
            self.by_model += 1
        else:
            self.by_service += 1

    def merge(self, other: "Tally") -> None:
        """Add another's counts."""
        for name in ("requests", "lost", "half", "by_service", "by_model"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.errors += other.errors


class CellPlan(NamedTuple):
    """What a cell does.

    Attributes:
        fault: Which.
        protocol: What the client speaks.
        stream: Whether it asks for a stream.
        messages: Coverage prompts, asked in turn while the fault lasts.
        rate: Requests a second.
    """

    fault: str
    protocol: Protocol
    stream: bool
    messages: Sequence[str]
    rate: float


class _Times(NamedTuple):
    to_switch: float | None
    to_return: float | None


async def run_cell(
    plan: CellPlan,
    proxy: FaultProxy,
    application: Application,
    tally: Tally,
    cool: Callable[[], Awaitable[None]] | None,
) -> Cell:
    """Ask through the fault, with a warm model and then with one that was just started.

    Args:
        plan: The cell.
        proxy: Shows the fault.
        application: Asks the gateway in front of it.
        tally: Counts the replies.
        cool: Starts the model again; None where it cannot be.
    """
    times = [await _strike(plan, proxy, application, tally)]
    if cool:
        await cool()
        times.append(await _strike(plan, proxy, application, tally))
    return Cell(
        fault=plan.fault,
        protocol=plan.protocol,
        stream=plan.stream,
        requests=tally.requests,
        lost=tally.lost,
        half_answers=tally.half,
        seconds_to_switch=_worst([time.to_switch for time in times]),
        seconds_to_return=_worst([time.to_return for time in times]),
    )


async def _strike(
    plan: CellPlan, proxy: FaultProxy, application: Application, tally: Tally
) -> _Times:
    lies_in_address = plan.fault in ADDRESS_ONLY
    can_return = False
    if not lies_in_address:
        # The gateway covers only keys that it has seen succeed.
        healthy = await application.ask(plan.messages[0], stream=plan.stream)
        tally.add(healthy)
        can_return = healthy.is_whole and not tally.is_of_model(healthy)
        await proxy.inject(plan.fault)
    began = time.monotonic()
    switched: list[float] = []

    async def ask(index: int, message: str) -> None:
        await asyncio.sleep(index / plan.rate)
        reply = await application.ask(message, stream=plan.stream)
        tally.add(reply)
        if tally.is_of_model(reply):
            switched.append(time.monotonic() - began)

    await asyncio.gather(*(ask(i, message) for i, message in enumerate(plan.messages)))
    to_switch = min(switched, default=None)
    await proxy.clear()
    if not can_return:
        return _Times(to_switch, None)
    return _Times(to_switch, await _seconds_to_return(plan, application, tally))


async def _seconds_to_return(
    plan: CellPlan, application: Application, tally: Tally
) -> float | None:
    began = time.monotonic()
    while time.monotonic() - began < _RETURN_SECONDS:
        reply = await application.ask(plan.messages[0], stream=plan.stream)
        tally.add(reply)
        if reply.is_whole and not tally.is_of_model(reply):
            return time.monotonic() - began
        await asyncio.sleep(_POLL_SECONDS)
    return None


def _worst(seconds: Sequence[float | None]) -> float | None:
    known = [each for each in seconds if each is not None]
    return round(max(known), 3) if len(known) == len(seconds) else None
