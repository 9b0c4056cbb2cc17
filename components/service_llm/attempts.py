"""Reads a reply to one attempt at a request, and makes the next attempt where it is unreadable."""

import dataclasses
from typing import Any

from components.service_llm.cost import cost_usd, price_of
from components.service_llm.journal import Entry, request_key
from components.service_llm.parsing import parse
from components.service_llm.settings import ServiceLLMSettings
from components.service_llm.types import Reply, Request

MALFORMED_TRIES = 4  # the first one, and three that ask again
_LEAST_BYTES_PER_TOKEN = 3  # of text in any language, roughly
_SEED_STEP = 1_000_003  # far beyond any number of samples, so that a new try is a new sample
_AGAIN = (
    "\n\nAn earlier reply to this request could not be read (try {number}). Reply with one JSON"
    " object of the requested schema and nothing else."
)


@dataclasses.dataclass(frozen=True)
class Reader:
    """Reads replies for one component's part of a round.

    Attributes:
        settings: The service LLM.
        component: Who asks.
        round: The round it asks for.
    """

    settings: ServiceLLMSettings
    component: str
    round: int

    @property
    def service(self) -> str:
        """What answers, as the journal names it."""
        return "/".join(self.settings.identity)

    def read(self, request: Request, reply: Reply) -> tuple[Any, Entry]:
        """The value of a reply, None where there is none, and its line of the journal.

        Args:
            request: The request itself, whichever attempt at it was answered.
            reply: The answer.
        """
        value, error = parse(reply, request.schema)
        return value, self.entry(request_key(self.settings, request), reply, error)

    def most_usd(self, request: Request) -> float:
        """What a request costs with the longest reply it may get; 0 where that is unknown."""
        size = len(request.prompt.encode()) + len(request.system.encode())
        most = self.settings.most_output_tokens(request.max_output_tokens)
        return cost_usd(price_of(self.settings), size // _LEAST_BYTES_PER_TOKEN, most) or 0.0

    def entry(self, key: str, reply: Reply, error: str | None) -> Entry:
        """A reply's line of the journal."""
        cost = cost_usd(price_of(self.settings), reply.prompt_tokens, reply.output_tokens)
        return Entry(key, self.service, self.component, self.round, reply, error, cost)


def next_attempt(request: Request, number: int) -> Request:
    """The request to send after try `number` brought an unreadable reply: a prompt of its own."""
    return dataclasses.replace(
        request,
        prompt=request.prompt + _AGAIN.format(number=number),
        index=request.index + number * _SEED_STEP,
    )
