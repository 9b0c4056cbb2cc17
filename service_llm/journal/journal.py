"""The journal: every reply is written down before it is used, so that none is paid for twice."""

import base64
import collections
import dataclasses
import functools
import hashlib
import json
import logging
import secrets
import threading
import time
import weakref
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import pydantic

from core.errors import UserError
from core.progress import spending
from core.usage import Usage
from service_llm.journal.open_segments import open_segments
from service_llm.journal.segments import Segments
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Reply, Request

_LOG = logging.getLogger(__name__)
_FORMAT = 2
_SALT_FILE = "salt"
_SALT_BYTES = 32
_KIND_DIGITS = 16
_DAY = 86_400.0


def request_key(settings: ServiceLLMSettings, request: Request) -> str:
    """Return the journal's key: everything that a reply depends on, and nothing else."""
    texts = {"system": request.system, "prompt": request.prompt, "index": request.index}
    return _digest(_parameters(settings, request) | texts)


def request_kind(settings: ServiceLLMSettings, request: Request) -> str:
    """Return what a request has in common with all that differ in their texts alone."""
    return _digest(_parameters(settings, request))[:_KIND_DIGITS]


def _parameters(settings: ServiceLLMSettings, request: Request) -> dict[str, object]:
    return {
        "format": _FORMAT,
        "answers": settings.identity,
        "schema": _json_schema(request.schema),
        "thinking": settings.thinking,
        "temperature": request.temperature,
        "max_output_tokens": request.max_output_tokens,
    }


@functools.cache
def _json_schema(schema: type[pydantic.BaseModel]) -> dict[str, object]:
    return schema.model_json_schema()


def _digest(parts: Mapping[str, object]) -> str:
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
        kind: See `request_kind`; empty where it is unknown.
        source: The item of a batch job that it is of, which may be read twice; else empty.
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
    kind: str = ""
    source: str = ""

    @property
    def usage(self) -> Usage:
        """What the reply used."""
        reply = self.reply
        unknown = 0 if reply.usage_known else 1
        versions = (reply.model_version,) if reply.model_version else ()
        return Usage(1, reply.prompt_tokens, reply.output_tokens, self.cost_usd, unknown, versions)

    def to_line(self) -> bytes:
        """Return this entry as one line."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "Entry":
        """Return the entry that `to_line` wrote; ValueError for anything else."""
        return _ENTRY.validate_json(line, strict=True)


_ENTRY = pydantic.TypeAdapter(Entry)


# By folder. A service, a judge and an embedder each open the journal, and each one's budget counts
# what all of them spend. Under the lock nothing is written while a journal is read, so nothing is
# counted twice.
_open: dict[str, "weakref.WeakSet[Journal]"] = {}
_open_lock = threading.Lock()


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
        self._kinds: set[str] = set()
        self._sources: set[str] = set()
        self._earlier: collections.defaultdict[str, list[float]] = collections.defaultdict(list)
        self._lock = threading.Lock()
        self._waiting: list[tuple[Entry, Future[None]]] = []
        # One writer: what arrives while it waits for the disk goes out together with the next.
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        with _open_lock:
            for path in self._segments.paths():
                self._load(path)
            _open.setdefault(uri, weakref.WeakSet()).add(self)
        if self._spent_usd:
            self._report_spending()

    def answer(self, key: str) -> Reply | None:
        """Return the reply in the journal for a request; None where there is no usable one."""
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
        """Return what a component's replies of a round used, over all interruptions."""
        with self._lock:
            return self._usage[component, round]

    def spent_usd(self) -> float:
        """Return what all replies cost whose price is known."""
        with self._lock:
            return self._spent_usd

    def has_kind(self, kind: str) -> bool:
        """Whether a request of a kind was ever answered; see `request_kind`."""
        with self._lock:
            return kind in self._kinds

    def has_source(self, source: str) -> bool:
        """Whether the reply to an item of a batch job was written; see `Entry`."""
        with self._lock:
            return source in self._sources

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
        """Return a file next to the replies, written with `text` unless it exists."""
        if text is None:
            data = self._segments.read(name)
        else:
            data = self._segments.create_once(name, text.encode())
        return None if data is None else data.decode()

    def notes(self, suffix: str) -> dict[str, str]:
        """Return the notes whose names end in `suffix`, by name."""
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
            with _open_lock:
                path, offset = self._segments.append(b"".join(lines))
                self._tell_others(sum(entry.cost_usd or 0.0 for entry, _ in batch))
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
        if any(entry.cost_usd is not None for entry, _ in batch):
            self._report_spending()

    def _tell_others(self, cost_usd: float) -> None:
        """Count what was spent in the journals that others have open in this process."""
        for other in _open.get(self._uri, ()):
            if other is not self:
                with other._lock:
                    other._spent_usd += cost_usd

    def _report_spending(self) -> None:
        spending.debug("spent so far", extra={"spent_usd": self.spent_usd()})

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
        if entry.kind:
            self._kinds.add(entry.kind)
        if entry.source:
            self._sources.add(entry.source)
        self._usage[entry.component, entry.round] += entry.usage
        self._spent_usd += entry.cost_usd or 0.0
        if entry.error is None:
            # The latest counts: an earlier one may be of a version that read replies differently.
            self._answers[bytes.fromhex(entry.key)] = (path, offset)
