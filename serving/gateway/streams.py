"""Splits streamed answers into their events, without a limit on a line's or an event's length."""

import re
from typing import Protocol

from serving.gateway.protocols.base import StreamForm

_EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_STRUCTURE = re.compile(rb'["\\{}\[\]]')
_LONGEST_END = 4  # bytes of an event's end


class Splitter(Protocol):
    """Finds the JSON bodies in a stream.

    Attributes:
        whole_bytes: How many of the bytes fed so far belong to whole events: a stream that is cut
            there can still be given an error in its own form.
    """

    whole_bytes: int

    def feed(self, data: bytes) -> list[bytes]:
        """Return the bodies that have become whole.

        Args:
            data: The next bytes, decoded from their content encoding.
        """

    def rest(self) -> bytes:
        """Return what is left and is no whole event: an error as bare JSON, or a half event."""


class EventSplitter:
    """Bodies of server-sent events.

    Reference:
        https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
    """

    def __init__(self) -> None:
        self.whole_bytes = 0
        self._buffer = bytearray()
        self._searched = 0

    def feed(self, data: bytes) -> list[bytes]:
        """See `Splitter`."""
        self._buffer += data
        bodies = []
        start = 0
        while found := _EVENT_END.search(self._buffer, max(start, self._searched)):
            if body := _body(bytes(self._buffer[start : found.start()])):
                bodies.append(body)
            start = found.end()
            self._searched = start
        del self._buffer[:start]
        self.whole_bytes += start
        self._searched = max(0, len(self._buffer) - _LONGEST_END)
        return bodies

    def rest(self) -> bytes:
        """See `Splitter`; a last event without its empty line counts, as clients read it."""
        return _body(bytes(self._buffer)) or bytes(self._buffer).strip()


class ArraySplitter:
    """Elements of one JSON array."""

    def __init__(self) -> None:
        self.whole_bytes = 0
        self._buffer = bytearray()
        self._at = 0  # up to here the buffer was looked at; a sign to come may be known already
        self._start = -1  # of the element at hand
        self._depth = 0
        self._in_text = False
        self._fed = 0  # bytes that have left the buffer

    def feed(self, data: bytes) -> list[bytes]:
        """See `Splitter`."""
        self._buffer += data
        bodies = []
        skip = -1
        for found in _STRUCTURE.finditer(self._buffer, self._at):
            at = found.start()
            sign = found.group()
            if at == skip:
                continue
            if self._in_text:
                if sign == b"\\":
                    skip = at + 1
                elif sign == b'"':
                    self._in_text = False
            elif sign == b'"':
                self._in_text = True
            elif sign in b"{[":
                self._open(sign, at)
            elif sign in b"}]" and self._depth:
                self._depth -= 1
                if self._depth == 0 and self._start >= 0:
                    bodies.append(bytes(self._buffer[self._start : at + 1]))
                    self._start = -1
                    self.whole_bytes = self._fed + at + 1
        # What an escape sign at the end escapes is still to come, and is left out then.
        self._at = max(self._at, len(self._buffer), skip + 1)
        self._forget()
        return bodies

    def rest(self) -> bytes:
        """See `Splitter`; the brackets and commas of the array are not part of it."""
        return bytes(self._buffer[self._start :]) if self._start >= 0 else b""

    def _open(self, sign: bytes, at: int) -> None:
        if self._depth == 0 and sign == b"[" and self._start < 0:
            return  # the array itself
        if self._depth == 0:
            self._start = at
        self._depth += 1

    def _forget(self) -> None:
        keep_from = self._start if self._start >= 0 else len(self._buffer)
        keep_from = min(keep_from, self._at)
        if keep_from > 0:
            del self._buffer[:keep_from]
            self._at -= keep_from
            self._fed += keep_from
            if self._start >= 0:
                self._start -= keep_from


def splitter(form: StreamForm) -> Splitter:
    """Return the splitter of a form."""
    return EventSplitter() if form is StreamForm.SSE else ArraySplitter()


def _body(event: bytes) -> bytes:
    """Return the data of one event, or an error as bare JSON; empty for other fields."""
    lines = [
        line[5:].removeprefix(b" ") for line in _LINE_END.split(event) if line.startswith(b"data:")
    ]
    if not lines and event.lstrip()[:1] in (b"{", b"["):
        return event.strip()
    return b"\n".join(lines)
