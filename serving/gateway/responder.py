"""Writes a request's answer, whoever gave it, and says who did."""

import math
from typing import Final, NamedTuple

from serving.gateway.client_side import Client, Header
from serving.gateway.exchange import ServedBy
from serving.gateway.protocols.base import Ask, Dialect, ModelAnswer, StreamForm
from serving.gateway.reasons import LEFT
from serving.gateway.service_call import Outcome
from serving.gateway.task import ServedTask

SERVICE: Final = "service"
MODEL: Final = "model"
NOBODY: Final = "none"
_JSON: Header = (b"content-type", b"application/json; charset=UTF-8")
_EVENTS: tuple[Header, ...] = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
)


class Said(NamedTuple):
    """Who answered.

    Attributes:
        by: `service`, `model` or `none`.
        reason: Why.
        status: HTTP status; 0 where the client left.
    """

    by: ServedBy
    reason: str
    status: int


class Responder:
    """Answers one client.

    Args:
        client: The client.
        dialect: Its protocol.

    Attributes:
        said: Who answered; until somebody has, that the client left.
    """

    def __init__(self, client: Client, dialect: Dialect) -> None:
        self._client = client
        self._dialect = dialect
        self.said = Said(NOBODY, LEFT, 0)

    def note(self, reason: str) -> None:
        """Note why nobody answers."""
        self.said = Said(NOBODY, reason, 0)

    def headers(self, by: ServedBy, reason: str, status: int) -> list[Header]:
        """Return the headers that say who answers; noted as said."""
        self.said = Said(by, reason, status)
        return [
            (b"x-understudy-served-by", by.encode()),
            (b"x-understudy-reason", reason.encode()),
        ]

    async def begin_service(self, outcome: Outcome, reason: str) -> None:
        """Begin the service's answer; its bytes are sent by the call."""
        headers = self.headers(SERVICE, reason, outcome.status)
        await self._client.begin(outcome.status, [*outcome.headers, *headers])

    async def send_held(self, outcome: Outcome, reason: str) -> None:
        """Pass on what was held back of the service's answer although it is a failure."""
        headers = [header for header in outcome.headers if header[0] != b"content-length"]
        headers += self.headers(SERVICE, reason, outcome.status)
        await self._client.answer(outcome.status, headers, outcome.data)

    async def send_model(
        self, ask: Ask, task: ServedTask, answer: ModelAnswer, reason: str
    ) -> None:
        """Give the tuned model's answer in the form that was asked for."""
        version = task.model_version
        headers = self.headers(MODEL, reason, 200)
        headers.append((b"x-understudy-model", version.encode()))
        if task.min_confidence is not None and not task.is_sure(answer.confidence):
            headers.append((b"x-understudy-confidence", b"low"))
        if ask.stream is None:
            body = self._dialect.write_answer(ask, answer, version)
            await self._client.answer(200, [_JSON, *headers], body)
            return
        kind = _EVENTS if ask.stream is StreamForm.SSE else (_JSON,)
        await self._client.begin(200, [*kind, *headers])
        for piece in self._dialect.write_stream(ask, answer, version):
            await self._client.send_part(piece)
        await self._client.end()

    async def refuse(
        self, status: int, message: str, reason: str, retry_after_seconds: float | None = None
    ) -> None:
        """Say in the protocol's form that nobody answers.

        Args:
            status: HTTP status.
            message: What happened and why.
            reason: As in the metrics.
            retry_after_seconds: When somebody may.
        """
        headers = [_JSON, *self.headers(NOBODY, reason, status)]
        if retry_after_seconds is not None:
            seconds = max(1, math.ceil(retry_after_seconds))
            headers.append((b"retry-after", str(seconds).encode()))
        body = self._dialect.write_error(status, message, retry_after_seconds)
        await self._client.answer(status, headers, body)
