"""What requests will use, before any of them is sent."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from core.example_budget import CHARACTERS_PER_TOKEN
from core.usage import Usage
from service_llm.cost import cost_usd, price_of
from service_llm.pacing.limiter import USED_SHARE
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Request


class Expected(NamedTuple):
    """A request like one that will be sent.

    Attributes:
        request: The request.
        reply_characters: Length of its reply, as JSON.
        times: How many requests of these lengths will be sent.
    """

    request: Request
    reply_characters: int
    times: int = 1


class CharactersPerToken(NamedTuple):
    """How long a token is on average, in what is sent and in what comes back."""

    prompt: float = CHARACTERS_PER_TOKEN
    reply: float = CHARACTERS_PER_TOKEN


def expected_usage(
    expected: Iterable[Expected],
    settings: ServiceLLMSettings,
    lengths: CharactersPerToken = CharactersPerToken(),  # noqa: B008  # immutable
) -> Usage:
    """Return what requests will use, by the length of their texts.

    A model that thinks before it replies is paid for that too; nothing tells beforehand how long.

    Args:
        expected: The requests.
        settings: The service LLM that will answer them.
        lengths: Of tokens.
    """
    calls = prompt_tokens = output_tokens = 0
    for request, reply_characters, times in expected:
        calls += times
        prompt_tokens += times * math.ceil(
            (len(request.prompt) + len(request.system)) / lengths.prompt
        )
        output_tokens += times * math.ceil(reply_characters / lengths.reply)
    cost = cost_usd(price_of(settings), prompt_tokens, output_tokens)
    return Usage(calls, prompt_tokens, output_tokens, cost)


def min_minutes(usage: Usage, settings: ServiceLLMSettings) -> float:
    """Minutes that the quota makes requests take at least."""
    minutes = usage.calls / (settings.requests_per_minute * USED_SHARE)
    if settings.tokens_per_minute:
        tokens = usage.prompt_tokens + usage.output_tokens
        minutes = max(minutes, tokens / (settings.tokens_per_minute * USED_SHARE))
    if settings.requests_per_day:
        full_days = (usage.calls - 1) // settings.requests_per_day
        minutes = max(minutes, full_days * 24 * 60.0)
    return minutes
