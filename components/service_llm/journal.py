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
from typing import Any

from components.service_llm.segments import Segments, open_segments
from components.service_llm.settings import ServiceLLMSettings
from components.service_llm.types import Finish, Reply, Request, Usage

_LOG = logging.getLogger(__name__)
_FORMAT = 1
_SALT_FILE = "salt"
_SALT_BYTES = 32


def request_key(settings: ServiceLLMSettings, request: Request) -> str:
    """The journal's key: everything that a reply depends on, and nothing else."""
    parts = {
        "format": _FORMAT,
        "project": settings.project,
        "system": request.system,
        "prompt": request.prompt,
        "schema": request.schema.model_json_schema(),
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
        component: The component that asked.
        round: Its round.
        reply: What the provider answered.
        error: Why the reply is no answer; None where it is one.
        cost_usd: What it cost; None where the price is unknown.
    """

    key: str
    component: str
    round: int
    reply: Reply
    error: str | None
    cost_usd: float | None

    @property
    def usage(self) -> Usage:
        """What the reply used."""
        return Usage(1, self.reply.prompt_tokens, self.reply.output_tokens, self.cost_usd)

    def to_line(self) -> bytes:
        """This entry as one line, with the time of writing."""
        fields = {**dataclasses.asdict(self), "at": round(time.time(), 3)}
        return json.dumps(fields, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "Entry":
        """The entry that `to_line` wrote; ValueError, KeyError or TypeError for anything else."""
        fields: dict[str, Any] = json.loads(line)
        reply = {**fields["reply"], "finish": Finish(fields["reply"]["finish"])}
        return cls(
            key=fields["key"],
            component=fields["component"],
            round=fields["round"],
            reply=Reply(**reply),
            error=fields["error"],
            cost_usd=fields["cost_usd"],
        )


class Journal:
    """The replies of all components and rounds in one folder; safe to share between threads.

    Only keys and positions are held in memory; replies are read when they are asked for. Lines
    that cannot be read, for example the last one of a process that was killed, are skipped.
    """

    def __init__(self, uri: str) -> None:
        self._segments: Segments = open_segments(uri)
        self._answers: dict[bytes, tuple[Path, int]] = {}
        self._usage: collections.defaultdict[tuple[str, int], Usage] = collections.defaultdict(
            Usage
        )
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

    def total(self) -> Usage:
        """What all replies used."""
        with self._lock:
            return sum(self._usage.values(), Usage())

    def salt(self) -> bytes:
        """Random bytes that belong to this journal and never change."""
        fresh = base64.b16encode(secrets.token_bytes(_SALT_BYTES))
        return base64.b16decode(self._segments.create_once(_SALT_FILE, fresh).strip())

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
        with path.open("rb") as file:
            offset = 0
            for line in file:
                try:
                    self._note(Entry.from_line(line), path, offset)
                except (ValueError, KeyError, TypeError):
                    unreadable += 1
                offset += len(line)
        if unreadable:
            _LOG.warning("%d lines of %s cannot be read and are skipped.", unreadable, path)

    def _write(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting, []
        if not batch:
            return
        lines = [entry.to_line() for entry, _ in batch]
        try:
            path, offset = self._segments.append(b"".join(lines))
        # Whatever it is, those who wait for the disk have to hear of it.
        except BaseException as error:
            for _, future in batch:
                future.set_exception(error)
            return
        for (entry, future), line in zip(batch, lines, strict=True):
            with self._lock:
                self._note(entry, path, offset)
            offset += len(line)
            future.set_result(None)

    def _note(self, entry: Entry, path: Path, offset: int) -> None:
        self._usage[entry.component, entry.round] += entry.usage
        if entry.error is None:
            self._answers.setdefault(bytes.fromhex(entry.key), (path, offset))
