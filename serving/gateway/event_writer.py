"""Sends a streamed answer on by whole events."""

from serving.gateway.answer_reader import AnswerReader
from serving.gateway.client_side import Client

_MAX_PENDING = 64 * 1024  # bytes of a half event


class EventWriter:
    """Sends a stream on, whole events only, so that an error can follow them.

    Args:
        client: Its answer has begun.
        reader: Has read what is sent.

    Attributes:
        sent: Bytes sent so far.
    """

    def __init__(self, client: Client, reader: AnswerReader) -> None:
        self._client = client
        self._reader = reader
        self._pending = bytearray()
        self.sent = 0

    async def send(self, data: bytes) -> None:
        """Send what is whole of all that came."""
        self._pending += data
        ready = self._ready()
        if ready > 0:
            part = bytes(self._pending[:ready])
            del self._pending[:ready]
            self.sent += ready
            await self._client.send_part(part)

    async def end(self, data: bytes | None = None) -> None:
        """End with the rest, or with something else in its place."""
        await self._client.end(bytes(self._pending) if data is None else data)

    def _ready(self) -> int:
        reader = self._reader
        if not reader.can_be_held_to_events:
            return len(self._pending)
        if reader.is_plain:
            assert reader.events is not None
            return reader.events.whole_bytes - self.sent
        # A server that flushes elsewhere than between events is not waited for.
        is_ready = reader.is_at_event_end or len(self._pending) > _MAX_PENDING
        return len(self._pending) if is_ready else 0
