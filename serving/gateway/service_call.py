"""One request at the service: sent once, its answer held back until it is known to be good."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import aiohttp
import yarl
from multidict import CIMultiDict
from pydantic_core import from_json

from serving.gateway import faults
from serving.gateway.answer_reader import AnswerReader, Check
from serving.gateway.client_side import Client, Header
from serving.gateway.event_writer import EventWriter
from serving.gateway.exchange import ServiceAnswer
from serving.gateway.faults import Failure, Fault
from serving.gateway.protocols.base import Dialect, StreamForm
from serving.gateway.unpacking import Unpacker, UnpackError
from serving.gateway.upstream import CONNECTION_ERRORS, proxy_for, response_headers

_WHOLE_HOLD = 1024 * 1024  # bytes of an answer that is not streamed: half of it is of no use
_LONGEST_ERROR = 1024 * 1024
# Answers that came to their end, although they are not fit to be given.
_COMPLETE = frozenset({Fault.EMPTY, Fault.CONTRACT, Fault.REFUSED})


class Outcome(NamedTuple):
    """What came of a request, as far as it was held back.

    Attributes:
        failure: What was wrong; None where nothing was so far.
        status: HTTP status; 0 where there was no response.
        headers: Of the response.
        data: Its bytes so far, as they came.
        is_whole: Whether they are all.
    """

    failure: Failure | None
    status: int = 0
    headers: tuple[Header, ...] = ()
    data: bytes = b""
    is_whole: bool = False


class Request(NamedTuple):
    """What goes to the service.

    Attributes:
        method: HTTP method.
        url: Where to.
        headers: All that go on.
        body: The whole body, or what yields it.
    """

    method: str
    url: yarl.URL
    headers: CIMultiDict[str]
    body: Any


async def send(session: aiohttp.ClientSession, request: Request) -> aiohttp.ClientResponse:
    """Send a request, once, and wait for the headers of its response."""
    return await session.request(
        request.method,
        request.url,
        headers=request.headers,
        data=request.body,
        allow_redirects=False,
        proxy=proxy_for(request.url.scheme, request.url.host or ""),
    )


class ServiceCall:
    """A request that is sent once, and its answer.

    Args:
        session: The client.
        request: What is sent.
        dialect: Its protocol.
        form: The form of a streamed answer; None for a whole one.
        hold_bytes: Bytes of a streamed answer that are held back.
        between_bytes_seconds: A longer silence within the answer is a fault.
        check: What is wrong with a whole answer that is otherwise good.

    Attributes:
        is_accepted: Whether the service answers with a status of success.
        first_byte_seconds: Until the first byte; None before it.
        on_first_byte: Called at the first byte.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        request: Request,
        dialect: Dialect,
        form: StreamForm | None,
        *,
        hold_bytes: int,
        between_bytes_seconds: float,
        check: Check,
    ) -> None:
        self._session = session
        self._request = request
        self._dialect = dialect
        self._form = form
        self._hold_bytes = hold_bytes if form else _WHOLE_HOLD
        self._between_bytes_seconds = between_bytes_seconds
        self._check = check
        self._response: aiohttp.ClientResponse | None = None
        self._reader: AnswerReader | None = None
        self.first_byte_seconds: float | None = None
        self.on_first_byte: Callable[[], None] = lambda: None
        self._started = time.monotonic()
        self._seconds: float | None = None
        self._is_complete = False

    @property
    def is_accepted(self) -> bool:
        """See the class."""
        return self._response is not None and self._response.status < 300

    def answer(self) -> ServiceAnswer:
        """Return what the service said, as far as it was read."""
        response = self._response
        seconds = self._seconds or time.monotonic() - self._started
        said = ServiceAnswer(
            None, response.status if response else 0, seconds, self.first_byte_seconds
        )
        if self._reader is None:
            return said
        return said.with_reading(self._reader.reading, is_complete=self._is_complete)

    def close(self) -> None:
        """Close the connection, unless the answer was read to its end."""
        if self._response is not None:
            self._response.close()

    async def run(self) -> Outcome:
        """Send the request, and read as much of the answer as is held back."""
        self._started = time.monotonic()
        outcome = await self._run()
        self._seconds = time.monotonic() - self._started
        fault = outcome.failure.fault if outcome.failure else None
        is_good = outcome.status < 300 and (fault is None or fault in _COMPLETE)
        self._is_complete = outcome.is_whole and is_good
        return outcome

    async def _run(self) -> Outcome:
        try:
            response = self._response = await send(self._session, self._request)
        except CONNECTION_ERRORS as error:
            return Outcome(faults.of_exception(error))
        reader = self._reader = AnswerReader(response, self._dialect, self._form)
        headers = tuple(response_headers(response))
        parts = response.content.iter_any()
        try:
            first = await anext(parts, b"")
        except CONNECTION_ERRORS:
            return Outcome(reader.cut(), response.status, headers)
        self.first_byte_seconds = time.monotonic() - self._started
        self.on_first_byte()
        if response.status >= 300:
            return await self._read_error(response, headers, first, parts)
        held = bytearray()
        failure, is_whole = await self._hold(reader, held, first, parts)
        return Outcome(failure, response.status, headers, bytes(held), is_whole)

    async def relay(self, client: Client, outcome: Outcome) -> Failure | None:
        """Send on what was held back, and then the rest as it comes.

        Args:
            client: Its answer has begun.
            outcome: Of `run`, without a failure.

        Returns:
            What broke the answer: it was ended with an error in the protocol's form, or, where
            that is impossible, it is left incomplete, so that the connection is closed.
        """
        if outcome.is_whole:
            await client.end(outcome.data)
            return None
        assert self._response is not None
        assert self._reader is not None
        reader = self._reader
        writer = EventWriter(client, reader)
        await writer.send(outcome.data)
        failure = await self._send_rest(writer, reader) or reader.broken()
        self._seconds = time.monotonic() - self._started
        self._is_complete = failure is None
        if failure is None:
            await writer.end()
        else:
            error = self._stream_error(failure, is_first=not writer.sent)
            if (last_words := reader.last_words(error)) is not None:
                await writer.end(last_words)
        return failure

    async def _read_error(
        self,
        response: aiohttp.ClientResponse,
        headers: tuple[Header, ...],
        first: bytes,
        parts: AsyncIterator[bytes],
    ) -> Outcome:
        data = bytearray(first)
        is_whole = False
        with contextlib.suppress(*CONNECTION_ERRORS):
            while len(data) <= _LONGEST_ERROR and (part := await self._next(parts)):
                data += part
            is_whole = len(data) <= _LONGEST_ERROR
        body: Any = None
        with contextlib.suppress(UnpackError, ValueError):
            unpacker = Unpacker(response.headers.get("Content-Encoding", ""))
            body = from_json(unpacker.feed(bytes(data)))
        failure = faults.of_status(response.status, body, response.headers)
        return Outcome(failure, response.status, headers, bytes(data), is_whole)

    async def _hold(
        self, reader: AnswerReader, held: bytearray, part: bytes, parts: AsyncIterator[bytes]
    ) -> tuple[Failure | None, bool]:
        """Hold parts back, and say what was wrong and whether they are all."""
        read = 0
        while part:
            held += part
            try:
                read += reader.read(part)
            except UnpackError as error:
                return faults.failure(Fault.CUT_EARLY, str(error)), False
            if reader.error is not None:
                return faults.of_error_inside(reader.error), False
            # What nobody can read goes on as it is.
            if read > self._hold_bytes or not reader.is_readable:
                return None, False
            try:
                part = await self._next(parts)
            except TimeoutError:
                return self._stalled(), False
            except CONNECTION_ERRORS:
                return reader.cut(), False
        return reader.final(self._check), True

    async def _send_rest(self, writer: EventWriter, reader: AnswerReader) -> Failure | None:
        assert self._response is not None
        parts = self._response.content.iter_any()
        try:
            while part := await self._next(parts):
                reader.read(part)
                if reader.error is not None:
                    break
                await writer.send(part)
        except TimeoutError:
            return self._stalled()
        except CONNECTION_ERRORS:
            return reader.cut()
        except UnpackError as error:
            return faults.failure(Fault.CUT_LATE, str(error))
        return None

    async def _next(self, parts: AsyncIterator[bytes]) -> bytes:
        """Return the next part; empty at the end."""
        async with asyncio.timeout(self._between_bytes_seconds):
            return await anext(parts, b"")

    def _stalled(self) -> Failure:
        seconds = self._between_bytes_seconds
        return faults.failure(Fault.STALL, f"the answer stalled for {seconds:g} s")

    def _stream_error(self, failure: Failure, *, is_first: bool) -> bytes:
        form = self._form or StreamForm.SSE
        message = f"The answer broke off: {failure.text}."
        return self._dialect.write_stream_error(form, message, is_first=is_first)
