"""The files that the gateways of one folder share: looked at without making a request wait."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from serving.gateway.alarms import Alarms
from serving.gateway.kept_alarms import KeptAlarms
from serving.gateway.keys import KnownKeys
from serving.gateway.modes import Modes

_LOOK_SECONDS = 2.0  # for a folder that answers
_T = TypeVar("_T")
_Found = TypeVar("_Found")


class _Shared(Protocol[_Found]):
    """What a file keeps."""

    def look(self) -> _Found | None:
        """Read the file where another gateway has written it; in any thread."""

    def take_up(self, found: _Found) -> None:
        """Take up what was found, in the event loop."""


class SharedFiles:
    """The mode, the keys and the alarms of `understudy watch` of a gateway.

    Args:
        modes: The mode.
        known: The keys.
        kept_alarms: Those of `understudy watch`.
        alarms: Raised where keys cannot be kept.
    """

    def __init__(
        self, modes: Modes, known: KnownKeys, kept_alarms: KeptAlarms, alarms: Alarms
    ) -> None:
        self._modes = modes
        self._known = known
        self._kept_alarms = kept_alarms
        self._alarms = alarms
        # A folder that hangs must not take the threads that others wait for.
        self._thread = ThreadPoolExecutor(1, "files")
        self._looking: asyncio.Task[None] | None = None
        self._saving: asyncio.Task[None] | None = None
        self._asked_for: set[asyncio.Task[None]] = set()
        known.on_new = self._save_soon
        self._say()

    async def look(self) -> None:
        """Look at all of them, and wait a few seconds for a folder that hangs.

        A look that still hangs is waited for and not begun again.
        """
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        if (await asyncio.wait({self._looking}, timeout=_LOOK_SECONDS))[0]:
            self._looking.result()

    async def look_at_mode(self) -> None:
        """Look at the mode now: a look that has begun may have read it some time ago."""
        await self._wait_for(self._look_at(self._modes))

    async def save_alarms(self) -> None:
        """Write the alarms of `understudy watch`, and wait a few seconds for the folder."""
        await self._wait_for(self._look_at(self._kept_alarms))

    def in_thread(self, do: Callable[[], _T]) -> "asyncio.Future[_T]":
        """Run a function in the thread for these files, one after the other."""
        return asyncio.get_running_loop().run_in_executor(self._thread, do)

    async def close(self) -> None:
        """Write what is still to be written, if the folder answers."""
        for job in (self._looking, self._saving, *self._asked_for):
            if job is not None:
                job.cancel()
        await asyncio.wait({self.in_thread(self._save)}, timeout=_LOOK_SECONDS)
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _save(self) -> None:
        self._known.look()
        self._kept_alarms.look()

    def _save_soon(self) -> None:
        """Write a new key now: the gateway may be killed before it looks again."""
        if self._saving is None or self._saving.done():
            self._saving = asyncio.create_task(self._look_at(self._known))

    async def _look(self) -> None:
        await self._look_at(self._modes)
        await self._look_at(self._known)
        await self._look_at(self._kept_alarms)
        self._say()

    async def _wait_for(self, looking: Coroutine[Any, Any, None]) -> None:
        job = asyncio.create_task(looking)
        self._asked_for.add(job)
        job.add_done_callback(self._asked_for.discard)
        if (await asyncio.wait({job}, timeout=_LOOK_SECONDS))[0]:
            job.result()

    async def _look_at(self, shared: _Shared[_Found]) -> None:
        found = await self.in_thread(shared.look)
        if found is not None:
            shared.take_up(found)

    def _say(self) -> None:
        problem = self._known.problem
        text = (
            f"{problem}: a restart forgets which keys worked, and other gateways of the folder do "
            "not learn of them. Free space, or make the folder readable and writable"
        )
        self._alarms.set("keys", bool(problem), text if problem else "the keys are kept")
