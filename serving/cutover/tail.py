"""Follows a capture folder: every whole line once, as it is written."""

from collections import defaultdict
from pathlib import Path

from core.captured import CapturedExchange
from core.errors import UserError
from core.jsonl import read_rows


class CaptureAwayError(UserError):
    """The capture folder cannot be read now, as where it is on another machine."""


class CaptureTail:
    """Reads what is new in a capture folder.

    A line is read once it has its end: one that is being written, or that a crash has cut off, is
    none. An exchange counts once, even if its file was copied.

    Args:
        folder: The folder; it need not exist yet.
        task: Name of the task whose exchanges are wanted.
        since: The earliest time of an exchange, ISO 8601 in UTC.
        skips_damaged: Whether a damaged line is skipped and counted; else it is an error.

    Attributes:
        damaged: Lines that were skipped.
    """

    def __init__(
        self, folder: Path, task: str, since: str = "", *, skips_damaged: bool = False
    ) -> None:
        self._folder = folder
        self._task = task
        self._since = since
        self._read: dict[str, int] = defaultdict(int)  # bytes by file
        self._ids: set[str] = set()
        self._found: dict[str, CapturedExchange] = {}  # and not yet returned
        self._skips_damaged = skips_damaged
        self.damaged = 0

    def new(self) -> list[CapturedExchange]:
        """Return the exchanges that were written since the last call, the oldest first.

        Raises:
            CaptureAwayError: The folder cannot be read now; what was read is returned later.
            UserError: A line is damaged, and damaged lines are not skipped.
        """
        try:
            for file in sorted(self._folder.glob("*.jsonl")):
                for exchange in self._of_file(file):
                    if exchange.task == self._task and exchange.time >= self._since:
                        self._found.setdefault(exchange.id, exchange)
        except OSError as error:
            raise CaptureAwayError(
                f"The captured exchanges in {str(self._folder)!r} cannot be read: {error}."
            ) from error
        found, self._found = self._found, {}
        new = [exchange for key, exchange in found.items() if key not in self._ids]
        self._ids |= found.keys()
        return sorted(new, key=lambda each: (each.time, each.id))

    def _of_file(self, file: Path) -> list[CapturedExchange]:
        try:
            with file.open("rb") as opened:
                opened.seek(self._read[file.name])
                data = opened.read()
        except FileNotFoundError:  # its days were over
            return []
        whole, end, _ = data.rpartition(b"\n")
        # What cannot be decoded is damaged as a line, and not the file.
        lines = whole.decode("utf-8", "surrogateescape")
        found = self._parsed(lines, str(file))
        self._read[file.name] += len(whole) + len(end)
        return found

    def _parsed(self, lines: str, source: str) -> list[CapturedExchange]:
        if not self._skips_damaged:
            return read_rows(lines, source, CapturedExchange.from_json)
        found = []
        for line in filter(str.strip, lines.split("\n")):
            try:
                found.append(CapturedExchange.from_json(line))
            except ValueError:
                self.damaged += 1
        return found
