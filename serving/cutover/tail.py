"""Follows a capture folder: every whole line once, as it is written."""

from collections import defaultdict
from pathlib import Path

from core.captured import CapturedExchange
from core.errors import UserError
from core.jsonl import read_rows


class CaptureTail:
    """Reads what is new in a capture folder.

    A line is read once it has its end: one that is being written, or that a crash has cut off, is
    none. An exchange counts once, even if its file was copied.

    Args:
        folder: The folder; it need not exist yet.
        task: Name of the task whose exchanges are wanted.
        since: The earliest time of an exchange, ISO 8601 in UTC.
    """

    def __init__(self, folder: Path, task: str, since: str = "") -> None:
        self._folder = folder
        self._task = task
        self._since = since
        self._read: dict[str, int] = defaultdict(int)  # bytes by file
        self._ids: set[str] = set()

    def new(self) -> list[CapturedExchange]:
        """Return the exchanges that were written since the last call, the oldest first.

        Raises:
            UserError: A file cannot be read, or a line is damaged.
        """
        found: dict[str, CapturedExchange] = {}
        for file in sorted(self._folder.glob("*.jsonl")):
            for exchange in self._of_file(file):
                if exchange.task == self._task and exchange.time >= self._since:
                    found.setdefault(exchange.id, exchange)
        new = [exchange for key, exchange in found.items() if key not in self._ids]
        self._ids |= found.keys()
        return sorted(new, key=lambda each: (each.time, each.id))

    def _of_file(self, file: Path) -> list[CapturedExchange]:
        try:
            with file.open("rb") as opened:
                opened.seek(self._read[file.name])
                data = opened.read()
            whole, end, _ = data.rpartition(b"\n")
            lines = whole.decode()
        except FileNotFoundError:  # its days were over
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{str(file)!r} cannot be read: {error}.") from error
        found = read_rows(lines, str(file), CapturedExchange.from_json)
        self._read[file.name] += len(whole) + len(end)
        return found
