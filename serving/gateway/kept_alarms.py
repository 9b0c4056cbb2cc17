"""The alarms of `understudy watch`, which last until a check clears them: perhaps tomorrow's."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from core.claim import wait_for_file
from core.errors import UserError
from core.terminal import write_error
from core.whole_file import replace_file
from serving.gateway.alarms import Alarms
from serving.gateway.watched_file import WatchedFile, stamp_of

_FILE = "watch_alarms.json"
Changes = Mapping[str, str | None]  # the text by the name; None where it is cleared


class FoundAlarms(NamedTuple):
    """What the file holds.

    Attributes:
        raised: The text of each, by its name.
        saved: The changes of this gateway that are in it now, and were not.
    """

    raised: dict[str, str]
    saved: Changes


class KeptAlarms:
    """Keeps them over restarts, for all gateways that share a folder.

    A change is written at the next `look`.

    Args:
        folder: Where their file lies; None forgets them with the process.
        alarms: Where they are raised.
    """

    def __init__(self, folder: Path | None, alarms: Alarms) -> None:
        self._file = folder / _FILE if folder else None
        self._watched = WatchedFile(self._file)
        self._alarms = alarms
        self._raised: dict[str, str] = {}
        self._unsaved: dict[str, str | None] = {}
        self._problem = ""
        if found := self.look():
            self.take_up(found)

    def set(self, name: str, text: str, *, is_raised: bool) -> None:
        """Raise or clear one.

        Args:
            name: What is wrong.
            text: The same in words.
            is_raised: Whether it is to be raised.
        """
        if self._file is not None:
            self._unsaved[name] = text if is_raised else None
        self._show(name, text, is_raised=is_raised)

    def look(self) -> FoundAlarms | None:
        """Write what was set here, and read what the other gateways of the folder have kept.

        May be called in any thread, by one at a time.

        Returns:
            What the file holds, for `take_up`; None where it is as it was, or cannot be read.
        """
        changes = dict(self._unsaved)
        if self._file is None or not (changes or self._watched.has_changed()):
            return None
        try:
            found = self._written(self._file, changes) if changes else self._read(self._file)
        except (OSError, UserError) as error:
            self._say(f"({getattr(error, 'strerror', None) or error})" if changes else "")
            return None
        self._say("")
        return None if found is None else FoundAlarms(found, changes)

    def take_up(self, found: FoundAlarms) -> None:
        """Raise what was found, and clear the others; what was set here since is the later word."""
        for name, text in found.saved.items():
            if name in self._unsaved and self._unsaved[name] == text:
                del self._unsaved[name]
        raised = _changed(found.raised, self._unsaved)
        for name in self._raised.keys() - raised.keys():
            self._show(name, "as usual", is_raised=False)
        for name, text in raised.items():
            self._show(name, text, is_raised=True)

    def _show(self, name: str, text: str, *, is_raised: bool) -> None:
        self._raised.pop(name, None)
        if is_raised:
            self._raised[name] = text
        self._alarms.set(f"watch:{name}", is_raised, text)

    def _written(self, file: Path, changes: Changes) -> dict[str, str]:
        """Return what the file holds once the changes are in it.

        Raises:
            OSError: It cannot be read or written.
            UserError: It cannot be locked.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        with wait_for_file(file.with_suffix(".lock")):
            kept = self._read(file)
            found = _changed(dict(self._raised) if kept is None else kept, changes)
            replace_file(file, json.dumps(found))
            self._watched.note(stamp_of(file))
            return found

    def _read(self, file: Path) -> dict[str, str] | None:
        """Return what the file holds, nothing where somebody deleted it; None if it is damaged.

        Raises:
            OSError: It cannot be read.
        """
        stamp = stamp_of(file)
        text = b"{}" if stamp is None else file.read_bytes()
        self._watched.note(stamp)
        try:
            return {str(name): str(text) for name, text in json.loads(text).items()}
        except (ValueError, AttributeError):
            return None

    def _say(self, problem: str) -> None:
        if problem and problem != self._problem:
            write_error(
                f"understudy: {self._file} cannot be written {problem}: a restart forgets the "
                "alarms of understudy watch until its next check"
            )
        self._problem = problem


def _changed(kept: Mapping[str, str], changes: Changes) -> dict[str, str]:
    after: Changes = {**kept, **changes}
    return {name: text for name, text in after.items() if text is not None}
