"""What is known of a request while it is answered, and the account of it at its end."""

import time
import uuid

from serving.gateway.client_side import Client
from serving.gateway.exchange import Content, Exchange, ServiceAnswer, TunedAnswer
from serving.gateway.gateway import NO_TASK
from serving.gateway.matching import Match
from serving.gateway.model_server import ModelFailedError
from serving.gateway.protocols.base import Ask
from serving.gateway.responder import Said
from serving.gateway.service_call import ServiceCall

_DEADLINE_HEADER = b"x-server-timeout"  # google-genai's, for the whole answer
_READ_TIMEOUT_HEADER = b"x-stainless-read-timeout"  # openai's, for each wait within it
_LONGEST_DEADLINE = 86_400.0


class Account:
    """One request.

    Args:
        client: Who asks.
        protocol: Name of its protocol.
        sticky_header: Names the user or session; None where no header does.

    Attributes:
        deadline: The caller's own, in seconds; None for none.
        patience: How long the caller waits for a first byte, in seconds; None where it is not said.
        ask: What it asks for; None while, or where, it cannot be read.
        match: Its task; None where it is of none.
        call: At the service; None where there is none.
        heard: Of an answer of the service that is passed on without a call.
        tuned: What the tuned model answered, or why it failed; None where it was not asked.
    """

    def __init__(self, client: Client, protocol: str, sticky_header: str | None) -> None:
        self.deadline = _seconds(client.header(_DEADLINE_HEADER))
        self.patience = self.deadline or _seconds(client.header(_READ_TIMEOUT_HEADER))
        self.ask: Ask | None = None
        self.match: Match | None = None
        self.call: ServiceCall | None = None
        self.heard: ServiceAnswer | None = None
        self.tuned: TunedAnswer | ModelFailedError | None = None
        self._protocol = protocol
        self._named = _text(client, sticky_header) if sticky_header else ""
        self._started = time.monotonic()
        self._arrived = time.time()

    @property
    def session(self) -> str:
        """Stands for the user or session; empty where the request names none."""
        return self._named or (self.ask.user if self.ask else "")

    def closed(self, said: Said) -> Exchange:
        """Return what became of it.

        Args:
            said: Who answered.
        """
        return Exchange(
            task=self.match.task.name if self.match else NO_TASK,
            protocol=self._protocol,
            is_stream=self.ask is not None and self.ask.stream is not None,
            served_by=said.by,
            reason=said.reason,
            status=said.status,
            seconds=time.monotonic() - self._started,
            id=uuid.uuid4().hex,
            time=self._arrived,
            content=self._content(self.match, self.ask) if self.match and self.ask else None,
        )

    def _content(self, match: Match, ask: Ask) -> Content:
        return Content(
            task=match.task,
            system=ask.system,
            messages=match.messages,
            session=self.session,
            service=self.call.answer() if self.call else self.heard,
            model=self.tuned if isinstance(self.tuned, TunedAnswer) else None,
            ask=ask,
        )


def _text(client: Client, header: str) -> str:
    return client.header(header.lower().encode()).decode("latin-1")


def _seconds(header: bytes) -> float | None:
    """Return a time that a client gives; None for none."""
    try:
        seconds = float(header)
    except ValueError:
        return None
    return seconds if 0 < seconds <= _LONGEST_DEADLINE else None
