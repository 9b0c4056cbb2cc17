"""The captures of several tasks: each in the folder in which its own commands look for it."""

from collections.abc import Callable, Mapping
from pathlib import Path

from serving.capture.capture import Capture, OnState
from serving.capture.settings import CaptureSettings
from serving.gateway.exchange import Exchange


class Captures:
    """A capture for each task, and one for all tasks that have the same folder.

    Args:
        settings: Lengths and times.
        folders: By task name.
        on_dropped: See `Capture`.
        on_state: Called with what is wrong with any of the folders; None when all are well.
    """

    def __init__(
        self,
        settings: CaptureSettings,
        folders: Mapping[str, Path],
        on_dropped: Callable[[int], None],
        on_state: OnState,
    ) -> None:
        self._on_state = on_state
        self._problems: dict[Path, str] = {}
        self._by_folder = {
            folder: Capture(settings, folder, on_dropped, self._noted(folder))
            for folder in set(folders.values())
        }
        self._by_task = {task: self._by_folder[folder] for task, folder in folders.items()}

    def put(self, exchange: Exchange) -> None:
        """Queue an exchange of a task; return at once."""
        if capture := self._by_task.get(exchange.task):
            capture.put(exchange)

    async def close(self) -> None:
        """Write what waits, for a few seconds at most."""
        for capture in self._by_folder.values():
            await capture.close()

    def _noted(self, folder: Path) -> OnState:
        def note(problem: str | None) -> None:
            self._problems.pop(folder, None)
            if problem is not None:
                self._problems[folder] = problem
            self._on_state(next(iter(self._problems.values()), None))

        return note
