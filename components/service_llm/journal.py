"""The journal: every reply is written down before it is used, so that none is paid for twice."""

import base64
import collections
import dataclasses
import hashlib
import json
import logging
import secrets
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import pydantic

from components.errors import UserError
from components.service_llm.segments import Segments, open_segments
from components.service_llm.settings import ServiceLLMSettings
from components.service_llm.types import Reply, Request, Usage

_LOG = logging.getLogger(__name__)
_FORMAT = 2
_SALT_FILE = "salt"
_SALT_BYTES = 32
_DAY = 86_400.0


def request_key(settings: ServiceLLMSettings, request: Request) -> str:
    """The journal's key: everything that a reply depends on, and nothing else."""
    parts = {
        "format": _FORMAT,
        "answers": settings.identity,
        "system": request.system,
        "prompt": request.prompt,
        "schema": request.schema.model_json_schema(),
        "thinking": settings.thinking,
        "temperature": request.temperature,
        "max_output_tokens": request.max_output_tokens,
        "index": request.index,
    }
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class Entry:
    """One line of the journal.

    Attributes:
        key: See `request_key`.
        service: What answered; see `ServiceLLMSettings.identity`.
        component: The component that asked.
        round: Its round.
        reply: What the provider answered.
        error: Why the reply is no answer; None where it is one.
        cost_usd: What it cost; None where the price is unknown.
        at: When it was written, in seconds since 1970.
    """

    key: Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{64}$")]
    service: str
    component: str
    round: int
    reply: Reply
    error: str | None
    cost_usd: Annotated[float, pydantic.Field(ge=0, allow_inf_nan=False)] | None
    at: Annotated[float, pydantic.Field(ge=0, allow_inf_nan=False)] = dataclasses.field(
        default_factory=lambda: round(time.time(), 3)
    )

    @property
    def usage(self) -> Usage:
        """What the reply used."""
        return Usage(1, self.reply.prompt_tokens, self.reply.output_tokens, self.cost_usd)

    def to_line(self) -> bytes:
        """This entry as one line."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "Entry":
        """The entry that `to_line` wrote; ValueError for anything else."""
        return _ENTRY.validate_json(line, strict=True)


_ENTRY = pydantic.TypeAdapter(Entry)


class Journal:
    """The replies of all components and rounds in one folder; safe to share between threads.

    Only keys and positions are held in memory; replies are read when they are asked for. Lines
    that cannot be read, for example the last one of a process that was killed, are skipped.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._segments: Segments = open_segments(uri)
        self._answers: dict[bytes, tuple[Path, int]] = {}
        self._usage: collections.defaultdict[tuple[str, int], Usage] = collections.defaultdict(
            Usage
        )
        self._spent_usd = 0.0
        self._versions: dict[str, str] = {}
        self._earlier: collections.defaultdict[str, list[float]] = collections.defaultdict(list)
        self._lock = threading.Lock()
        self._waiting: list[tuple[Entry, Future[None]]] = []
        # One writer: what arrives while it waits for the disk goes out together with the next.
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        for path in self._segments.paths():
            self._load(path)

    def answer(self, key: str) -> Reply | None:
        """The reply that was written down for a request; None where there is no usable one."""
        place = self._answers.get(bytes.fromhex(key))
        if place is None:
            return None
        path, offset = place
        with path.open("rb") as file:
            file.seek(offset)
            return Entry.from_line(file.readline()).reply

    def append(self, entry: Entry) -> "Future[None]":
        """Write an entry; the future is done when it is on disk."""
        future: Future[None] = Future()
        with self._lock:
            self._waiting.append((entry, future))
        self._writer.submit(self._write)
        return future

    def usage(self, component: str, round: int) -> Usage:
        """What a component's replies of a round used, over all interruptions."""
        with self._lock:
            return self._usage[component, round]

    def spent_usd(self) -> float:
        """What all replies cost whose price is known."""
        with self._lock:
            return self._spent_usd

    def earlier(self, service: str) -> list[float]:
        """When a service's replies of the last 24 hours were written before this journal opened.

        Args:
            service: See `Entry`.

        Returns:
            Seconds that have passed since each of them.
        """
        now = time.time()
        return [now - at for at in self._earlier[service]]

    def salt(self) -> bytes:
        """Random bytes that belong to this journal and never change.

        Raises:
            UserError: The file that holds them was damaged.
        """
        fresh = base64.b16encode(secrets.token_bytes(_SALT_BYTES))
        held = self._segments.create_once(_SALT_FILE, fresh)
        try:
            salt = base64.b16decode(held.strip())
        except ValueError:
            salt = b""
        if len(salt) != _SALT_BYTES:
            raise UserError(
                f"The file {_SALT_FILE!r} of the journal at {self._uri} is damaged. Restore it "
                "from a copy; without it every request is new, so delete it only where that is "
                "fine."
            )
        return salt

    def note(self, name: str, text: str | None = None) -> str | None:
        """A file beside the replies, written with `text` unless it exists; None without one."""
        if text is None:
            data = self._segments.read(name)
        else:
            data = self._segments.create_once(name, text.encode())
        return None if data is None else data.decode()

    def notes(self, suffix: str) -> dict[str, str]:
        """The notes whose names end in `suffix`, by name."""
        return {name: self.note(name) or "" for name in self._segments.names(suffix)}

    def close(self) -> None:
        """Write what is waiting, then close."""
        self._writer.shutdown(wait=True)
        self._segments.close()

    def _load(self, path: Path) -> None:
        unreadable = 0
        since = time.time() - _DAY
        with path.open("rb") as file:
            offset = 0
            for line in file:
                try:
                    entry = Entry.from_line(line)
                except ValueError:
                    unreadable += 1
                else:
                    self._note(entry, path, offset)
                    if entry.at > since:
                        self._earlier[entry.service].append(entry.at)
                offset += len(line)
        if unreadable:
            _LOG.warning("%d lines of %s cannot be read and are skipped.", unreadable, path)

    def _write(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting, []
        if not batch:
            return
        try:
            lines = [entry.to_line() for entry, _ in batch]
            path, offset = self._segments.append(b"".join(lines))
        # Whatever it is, those who wait for the disk have to hear of it.
        except BaseException as error:
            for _, future in batch:
                future.set_exception(error)
            return
        for (entry, future), line in zip(batch, lines, strict=True):
            self._compare_version(entry)
            with self._lock:
                self._note(entry, path, offset)
            offset += len(line)
            future.set_result(None)

    def _compare_version(self, entry: Entry) -> None:
        """Tell when a provider has moved a name to another model."""
        version = entry.reply.model_version
        before = self._versions.get(entry.service, version)
        if version and before and version != before:
            _LOG.warning(
                "%s answers as %s now, and as %s before. Earlier replies stay in use; set "
                "model_version to have all of %s.",
                *(entry.service, version, before, version),
            )

    def _note(self, entry: Entry, path: Path, offset: int) -> None:
        if entry.reply.model_version:
            self._versions[entry.service] = entry.reply.model_version
        self._usage[entry.component, entry.round] += entry.usage
        self._spent_usd += entry.cost_usd or 0.0
        if entry.error is None:
            # The latest counts: an earlier one may be of a version that read replies differently.
            self._answers[bytes.fromhex(entry.key)] = (path, offset)
