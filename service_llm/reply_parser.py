"""Reads a reply to one attempt at a request, and makes the next attempt where it is unreadable."""

import dataclasses
from typing import Any

from service_llm.cost import cost_usd, price_of
from service_llm.journal.journal import Entry, request_key, request_kind
from service_llm.parsing import parse
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Reply, Request

MALFORMED_TRIES = 4  # the first one, and three that ask again
_MIN_BYTES_PER_TOKEN = 3  # of text in any language, roughly
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
        """Return the value of a reply, None where there is none, and its line of the journal.

        Args:
            request: The request itself, whichever attempt at it was answered.
            reply: The answer.
        """
        value, error = parse(reply, request.schema)
        key = request_key(self.settings, request)
        entry = self.entry(key, reply, error, prompt=request.system + request.prompt)
        return value, dataclasses.replace(entry, kind=request_kind(self.settings, request))

    def max_usd(self, request: Request) -> float:
        """Return the cost of a request with its longest possible reply; 0 if unknown."""
        most = self.settings.output_token_limit(request.max_output_tokens)
        prompt_tokens = _max_tokens(request.system + request.prompt)
        return cost_usd(price_of(self.settings), prompt_tokens, most) or 0.0

    def entry(self, key: str, reply: Reply, error: str | None, *, prompt: str = "") -> Entry:
        """Return a reply's line of the journal.

        Args:
            key: See `request_key`.
            reply: The answer.
            error: Why it is no answer; None where it is one.
            prompt: What was asked, for the cost of a reply whose tokens the provider did not count.
        """
        reply = _with_sound_counts(reply)
        cost = reply_cost_usd(self.settings, reply, prompt)
        return Entry(key, self.service, self.component, self.round, reply, error, cost)


def reply_cost_usd(settings: ServiceLLMSettings, reply: Reply, prompt: str) -> float | None:
    """Return the cost of a reply, estimated from the texts where its tokens were not counted.

    Args:
        settings: The service LLM.
        reply: The answer.
        prompt: What was asked.
    """
    counts = (reply.prompt_tokens, reply.output_tokens)
    if not reply.usage_known:
        counts = (_max_tokens(prompt), _max_tokens(reply.text))
    return cost_usd(price_of(settings), *counts)


def next_attempt(request: Request, number: int) -> Request:
    """Return the request to send after attempt `number` was unreadable."""
    return dataclasses.replace(
        request,
        prompt=request.prompt + _AGAIN.format(number=number),
        index=request.index + number * _SEED_STEP,
    )


def _max_tokens(text: str) -> int:
    """Tokens that a text has at most, roughly, in any language."""
    return -(-len(text.encode()) // _MIN_BYTES_PER_TOKEN)


def _with_sound_counts(reply: Reply) -> Reply:
    """Return the reply as a line that can be read again: counts that cannot be are unknown."""
    counts = (reply.prompt_tokens, reply.output_tokens)
    if all(type(count) is int and count >= 0 for count in counts):
        return reply
    return dataclasses.replace(reply, prompt_tokens=0, output_tokens=0, usage_known=False)
