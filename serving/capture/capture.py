"""Writes exchanges in a thread of its own; what it cannot write in time is dropped and counted."""

import asyncio
import contextlib
import math
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

from core.terminal import write_error
from serving.capture.folder import CaptureFolder
from serving.capture.line import captured
from serving.capture.settings import CaptureSettings
from serving.gateway.exchange import Content, Exchange

_MAX_CHARACTERS = 64 * 1024 * 1024  # of the exchanges that wait
_BATCH = 64  # exchanges written at a time
_CLOSE_SECONDS = 5.0
_CALM_SECONDS = 10.0  # without a dropped exchange, until the folder is well again

OnState = Callable[[str | None], None]
"""Called, in the event loop, with what is wrong with the folder; None when it is well again."""


class Capture:
    """The queue before the capture folder.

    Args:
        settings: Lengths and times.
        folder: Where to.
        on_dropped: Called, in any thread, with the number of exchanges that were dropped.
        on_state: See `OnState`.
        clock: Monotonic time in seconds.
    """

    def __init__(
        self,
        settings: CaptureSettings,
        folder: Path,
        on_dropped: Callable[[int], None],
        on_state: OnState,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = folder
        self._folder = CaptureFolder(folder, settings.max_file_mib * 1024 * 1024)
        self._limit = settings.queue_length
        self._on_dropped = on_dropped
        self._on_state = on_state
        self._queue: queue.SimpleQueue[Exchange | None] = queue.SimpleQueue()
        # Each pair is written by one thread: put by the event loop's, taken by the writer's.
        self._put, self._put_size = 0, 0
        self._taken, self._taken_size = 0, 0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._clock = clock
        # Of the event loop alone.
        self._is_broken, self._is_written = False, True
        self._dropped_at = -math.inf
        self._timer: asyncio.TimerHandle | None = None

    def put(self, exchange: Exchange) -> None:
        """Queue an exchange; return at once.

        Args:
            exchange: Nothing is written of one without content, which is of no task.
        """
        if exchange.content is None:
            return
        size = _size(exchange.content)
        is_full = self._put - self._taken >= self._limit
        if is_full or self._put_size - self._taken_size + size > _MAX_CHARACTERS:
            self._on_dropped(1)
            self._note(f"{self.path} is written more slowly than exchanges come")
            return
        if self._thread is None:
            self._start()
        self._put += 1
        self._put_size += size
        self._queue.put(exchange)

    async def close(self) -> None:
        """Write what waits, for a few seconds at most."""
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join, _CLOSE_SECONDS)
            self._thread = None

    def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write_forever, name="capture", daemon=True)
        self._thread.start()

    def _write_forever(self) -> None:
        is_open = True
        while is_open:
            batch = [self._queue.get()]
            with contextlib.suppress(queue.Empty):
                while len(batch) < _BATCH:
                    batch.append(self._queue.get_nowait())
            is_open = None not in batch
            self._write([exchange for exchange in batch if exchange is not None])
        self._folder.close()

    def _write(self, batch: list[Exchange]) -> None:
        lines: list[str] = []
        problem = None
        try:
            salt = self._folder.salt()
            lines = [line for exchange in batch if (line := self._line(exchange, salt))]
            if lines:
                self._folder.append("".join(lines).encode())
        except Exception as error:  # of any kind, or nothing would be written any more
            self._on_dropped(len(lines) if lines else len(batch))
            why = error.strerror if isinstance(error, OSError) else type(error).__name__
            problem = f"{self.path} cannot be written ({why})"
        self._taken += len(batch)
        self._taken_size += sum(_size(each.content) for each in batch if each.content)
        if problem is None and len(lines) < len(batch):
            problem = f"{len(batch) - len(lines)} of {len(batch)} exchanges cannot be written down"
        if problem or lines:
            assert self._loop is not None
            with contextlib.suppress(RuntimeError):  # the gateway has stopped
                self._loop.call_soon_threadsafe(self._note, problem)

    def _line(self, exchange: Exchange, salt: bytes) -> str:
        """Return an exchange's line; empty, and counted, where it cannot be made."""
        assert exchange.content is not None
        try:
            return captured(exchange, exchange.content, salt).to_json() + "\n"
        except Exception as error:  # its text may hold what is to be redacted
            self._on_dropped(1)
            write_error(f"understudy: an exchange was not captured: {type(error).__name__}")
            return ""

    def _note(self, problem: str | None) -> None:
        """Say that exchanges are dropped, or, after a while without, that they are written.

        Args:
            problem: What is wrong; None where exchanges were written.
        """
        self._is_written = problem is None
        if problem:
            self._dropped_at = self._clock()
        self._look(problem)

    def _look(self, problem: str | None = None) -> None:
        is_calm = self._clock() - self._dropped_at >= _CALM_SECONDS
        is_broken = not (is_calm and self._is_written)
        if is_broken != self._is_broken:
            self._is_broken = is_broken
            self._on_state(problem)
        if is_broken and self._timer is None:  # nothing else may come that would look again
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_CALM_SECONDS, self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        self._look()


def _size(content: Content) -> int:
    service = content.service.text if content.service else None
    model = content.model.answer.text if content.model else ""
    prompt = sum(len(message.text) for message in content.messages)
    return len(content.system) + prompt + len(service or "") + len(model)
