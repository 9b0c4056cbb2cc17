"""Listens to an answer that is passed on as it is, for the capture."""

import time

import aiohttp

from serving.gateway.answer_reader import AnswerReader
from serving.gateway.exchange import ServiceAnswer
from serving.gateway.protocols.base import Dialect, StreamForm
from serving.gateway.unpacking import UnpackError


class Listener:
    """Reads a copy of an answer.

    Args:
        response: Its response.
        dialect: Its protocol.
        form: The form of a streamed answer; None for a whole one.
        started: When the request was sent, monotonic seconds.
    """

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        dialect: Dialect,
        form: StreamForm | None,
        started: float,
    ) -> None:
        self._status = response.status
        self._reader: AnswerReader | None = AnswerReader(response, dialect, form)
        self._started = started
        self._first_byte_seconds: float | None = None

    def hear(self, part: bytes) -> None:
        """Read a part."""
        if self._first_byte_seconds is None:
            self._first_byte_seconds = time.monotonic() - self._started
        if self._reader is not None:
            try:
                self._reader.read(part)
            except UnpackError:
                self._reader = None

    def answer(self, *, is_complete: bool) -> ServiceAnswer:
        """Return what was said."""
        seconds = time.monotonic() - self._started
        said = ServiceAnswer(None, self._status, seconds, self._first_byte_seconds)
        reader = self._reader
        if reader is None:
            return said
        is_good = is_complete and self._status < 300 and reader.broken() is None
        return said.with_reading(reader.reading, is_complete=is_good)
