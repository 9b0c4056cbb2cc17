"""Ends a run soon after Ctrl-C, whatever code is running.

Python prints and drops an exception that is raised in a finalizer or in a callback of the garbage
collector, and some libraries catch every exception: a KeyboardInterrupt that arrives there is lost,
and the run continues and pays. Here it is raised again until it has left the run. Code that does
not return, such as a compilation or a wait for threads, does not delay the end either.
"""

import atexit
import contextlib
import os
import signal
import sys
import threading
import time
import types
from collections.abc import Iterator

from core.interruption import interruption

EXIT_INTERRUPTED = 130
_INTERRUPTED = "Interrupted."
_RESUME = f"{_INTERRUPTED} Run the same command again to resume."
_LOOK_SECONDS = 0.1
_LOOKS = 2  # in which the main thread does not handle the interruption: it was lost
_END_SECONDS = 2.5  # after Ctrl-C; half a second more than what is in flight has
_LEAVE_VIEW = b"\x1b[?25h\n"  # show the cursor, on a line of its own
_OVER = b"\0"  # no signal


_told = threading.Event()


def tell_interrupted(resumes: bool) -> None:
    """Say that a command was interrupted, and what to do.

    Args:
        resumes: Whether the same command continues what it was doing.
    """
    print(_RESUME if resumes else _INTERRUPTED, file=sys.stderr, flush=True)  # noqa: T201
    _told.set()


@contextlib.contextmanager
def ends_on_ctrl_c() -> Iterator[None]:
    """Raise KeyboardInterrupt in this block until it has left it, and then end the process soon.

    In another thread than the main one, where no signal arrives, it does nothing.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed, whatever else the block came to.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    watch = _Watch()
    try:
        with watch:
            yield
    except BaseException as error:
        if interruption.is_requested and not isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise
    if interruption.is_requested:
        raise KeyboardInterrupt


class _Watch:
    """Watches over the block from a thread of its own, which needs no turn of the main thread."""

    def __init__(self) -> None:
        self._main = threading.get_ident()
        self._is_raised = False
        self._has_left = False
        # Of its own, as the display redirects the standard one.
        self._screen = os.dup(2)
        self._signals, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        self._thread = threading.Thread(target=self._run, name="Ctrl-C", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()
        # Told at once, where the handler has to wait for the main thread to leave native code.
        self._other_wake = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        self._other_handler = signal.signal(signal.SIGINT, self._raise)

    def __exit__(self, *_: object) -> None:
        self._has_left = True
        signal.set_wakeup_fd(self._other_wake)
        if interruption.is_requested:  # the watch continues until the process ends
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            atexit.register(_leave)  # runs first: nothing that is torn down after it matters
            return
        signal.signal(signal.SIGINT, self._other_handler)
        os.write(self._wake, _OVER)
        self._thread.join()
        for descriptor in (self._screen, self._signals, self._wake):
            os.close(descriptor)

    def _raise(self, number: int, frame: types.FrameType | None) -> None:
        del frame
        interruption.request()
        self._is_raised = True
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake, bytes([number]))
        raise KeyboardInterrupt

    def _run(self) -> None:
        while (found := os.read(self._signals, 1)) != bytes([signal.SIGINT]):
            if found == _OVER:
                return
        interruption.request()
        end = time.monotonic() + _END_SECONDS
        lost = 0
        while time.monotonic() < end:
            time.sleep(_LOOK_SECONDS)
            lost = lost + 1 if self._seems_lost() else 0
            if lost == _LOOKS:
                lost = 0
                signal.pthread_kill(self._main, signal.SIGINT)
        self._end()

    def _seems_lost(self) -> bool:
        if self._has_left or interruption.is_finishing or not self._is_raised:
            return False
        return not _handles_interrupt(self._main)

    def _end(self) -> None:
        if not _told.is_set():
            left = _LEAVE_VIEW if os.isatty(self._screen) else b""
            os.write(self._screen, left + f"{_RESUME}\n".encode())
        os._exit(EXIT_INTERRUPTED)


def _handles_interrupt(thread: int) -> bool:
    """Whether a thread is in an `except` or `finally` because of a KeyboardInterrupt."""
    # The only way to see another thread's exception; made for debuggers, and the same since 3.11.
    current: object = sys._current_exceptions().get(thread)
    error = current[1] if isinstance(current, tuple) else current
    seen: set[int] = set()
    todo = [error]
    while todo:
        error = todo.pop()
        if isinstance(error, KeyboardInterrupt):
            return True
        if isinstance(error, BaseException) and id(error) not in seen:
            seen.add(id(error))
            todo += [error.__context__, error.__cause__]
    return False


def _leave() -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(EXIT_INTERRUPTED)
