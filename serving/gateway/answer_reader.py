"""Reads along in a service's answer, whole or streamed, and says what is wrong with it."""

import contextlib
from collections.abc import Callable

import aiohttp
from pydantic_core import from_json

from serving.gateway import faults
from serving.gateway.faults import Failure, Fault
from serving.gateway.protocols.base import Dialect, Reading, StreamForm
from serving.gateway.streams import Splitter, splitter
from serving.gateway.unpacking import Unpacker, UnpackError

_EVENT_STREAM = "text/event-stream"

Check = Callable[[Reading], Failure | None]
"""What is wrong with an answer that came to its end and holds something."""


class AnswerReader:
    """What one answer has said so far.

    Args:
        response: The answer's response.
        dialect: Its protocol.
        form: The form of a streamed answer; None for a whole one.

    Attributes:
        is_readable: Whether its content encoding can be read here.
        is_plain: Whether it has none.
        events: Splits it, where it is a stream; None for a whole answer, or an error as bare JSON
            where a stream was asked for.
        error: The body of an error object inside it; None while there is none.
        reading: What it has said so far.
    """

    def __init__(
        self, response: aiohttp.ClientResponse, dialect: Dialect, form: StreamForm | None
    ) -> None:
        self._dialect = dialect
        self._form = form
        self.reading = Reading()
        self._whole = bytearray()
        self._unpacker: Unpacker | None = None
        with contextlib.suppress(UnpackError):
            self._unpacker = Unpacker(response.headers.get("Content-Encoding", ""))
        kind = response.headers.get("Content-Type", "").lower()
        self.events: Splitter | None = None
        if form is StreamForm.ARRAY or kind.startswith(_EVENT_STREAM):
            self.events = splitter(form or StreamForm.SSE)

    @property
    def is_readable(self) -> bool:
        """See the class."""
        return self._unpacker is not None

    @property
    def is_plain(self) -> bool:
        """See the class."""
        return self._unpacker is not None and self._unpacker.is_plain

    @property
    def is_at_event_end(self) -> bool:
        """Whether all that was read is whole events."""
        assert self._unpacker is not None
        return self.events is not None and self.events.whole_bytes == self._unpacker.size

    @property
    def can_be_held_to_events(self) -> bool:
        """Whether the bytes of whole events can be told from those of a half one."""
        is_known = self._unpacker is not None and (self.is_plain or self._unpacker.is_gzip)
        return is_known and self.events is not None

    def last_words(self, data: bytes) -> bytes | None:
        """Return the bytes that end a stream with `data`; None where none can be added."""
        if self._unpacker is None or self.events is None:
            return None
        if not self.is_plain and not self.is_at_event_end:
            return None
        return self._unpacker.last_words(data)

    @property
    def error(self) -> object:
        """See the class."""
        return self.reading.error

    def read(self, part: bytes) -> int:
        """Read a part, and say how many bytes it holds unpacked.

        Raises:
            UnpackError: It is not what its content encoding says.
        """
        if self._unpacker is None:
            return len(part)
        data = self._unpacker.feed(part)
        if self.events is None:
            self._whole += data
        else:
            for body in self.events.feed(data):
                self._read_body(body)
        return len(data)

    def cut(self) -> Failure:
        """Return what it means that the connection is gone."""
        has_begun = self.reading.has_text or bool(self._whole)
        fault = Fault.CUT_LATE if has_begun else Fault.CUT_EARLY
        return faults.failure(fault, "the answer was cut off")

    def final(self, check: Check) -> Failure | None:
        """Return what is wrong with an answer that was held back to its end."""
        reading = self.reading
        self._read_body(self._whole if self.events is None else self.events.rest())
        if reading.error is not None:
            return faults.of_error_inside(reading.error)
        if reading.is_refused:
            return check(reading)
        has_any = reading.has_text or reading.has_more
        if self._form and not reading.finish:
            if has_any:
                return self._unfinished()
            # A stream that is whole without a candidate has nothing that could have finished.
            if reading.has_candidate or not reading.has_body:
                return self._not_begun()
        if not has_any:
            return faults.failure(Fault.EMPTY, "the answer is empty")
        return check(reading)

    def broken(self) -> Failure | None:
        """Return what is wrong with a stream that was too long to be held back, at its end."""
        if not self.is_readable:  # it came to its end; nobody here can say more
            return None
        if self.events is None:
            self._read_body(self._whole)
            return None
        reading = self.reading
        if reading.error is None:
            self._read_body(self.events.rest())
        if reading.error is not None:
            return faults.of_error_inside(reading.error)
        return None if reading.finish or reading.is_refused else self._unfinished()

    def _read_body(self, body: bytes | bytearray) -> None:
        with contextlib.suppress(ValueError):  # OpenAI's [DONE]; what clients cannot read either
            self._dialect.read_answer(self.reading, from_json(body))

    @staticmethod
    def _unfinished() -> Failure:
        return faults.failure(Fault.CUT_LATE, "the stream ended without a finish reason")

    @staticmethod
    def _not_begun() -> Failure:
        return faults.failure(Fault.CUT_EARLY, "the stream ended before its first token")
