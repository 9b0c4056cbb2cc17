"""Deletes captured files whose days are over, also where nothing is captured any more."""

import contextlib
import datetime
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from serving.capture.folder import NAME, Now, stamp, utc_now

_EVERY_SECONDS = 3600.0


class Expiry:
    """Looks through capture folders now and then.

    Args:
        folders: The folders; they need not exist.
        retention_days: Days after whose end no line is left.
        now: Tells the time.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        folders: Iterable[Path],
        retention_days: int,
        now: Now = utc_now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folders = sorted(set(folders))
        self._retention = datetime.timedelta(days=retention_days)
        self._now = now
        self._clock = clock
        self._due = clock()
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Delete what is old, at the first call and then once an hour; return at once.

        It takes a thread, which a folder on another machine may hold for as long as it hangs.
        """
        is_running = self._thread is not None and self._thread.is_alive()
        if is_running or self._clock() < self._due or not self._folders:
            return
        self._due = self._clock() + _EVERY_SECONDS
        self._thread = threading.Thread(target=self.delete_old, name="expiry", daemon=True)
        self._thread.start()

    def delete_old(self) -> None:
        """Delete the files of which a line may be older than the retention, and no others."""
        oldest = stamp(self._now() - self._retention)
        for folder in self._folders:
            with contextlib.suppress(OSError):  # another gateway was faster
                for file in folder.iterdir():
                    found = NAME.fullmatch(file.name)
                    if found and found[1] < oldest:
                        file.unlink(missing_ok=True)
