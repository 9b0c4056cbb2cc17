"""Requests to the service LLM, its replies, and what they cost."""

import dataclasses
import enum
from typing import Annotated, Any, Self

import pydantic

from components.service_llm.errors import BadOutputError, RefusedError

CHARACTERS_PER_TOKEN = 4  # of English, roughly, in every model's vocabulary


@dataclasses.dataclass(frozen=True)
class Request:
    """One question to the service LLM.

    Attributes:
        prompt: The whole prompt.
        schema: What the reply must be; also sent to the provider as structured output.
        system: System instruction.
        temperature: Sampling temperature.
        max_output_tokens: Tokens of the reply at most; what the model thinks before comes on top.
        index: Number of the sample or vote among requests that are otherwise the same.
        tag: For the caller to recognize the result by; no part of the journal's key.
    """

    prompt: str
    schema: type[pydantic.BaseModel]
    system: str = ""
    temperature: float = 1.0
    max_output_tokens: int = 2048
    index: int = 0
    tag: str = ""

    def __post_init__(self) -> None:
        _clean(self, "prompt", "system")


@dataclasses.dataclass(frozen=True)
class Usage:
    """What requests used.

    Attributes:
        calls: Requests that the provider answered.
        prompt_tokens: Tokens of the prompts, by the provider's count.
        output_tokens: Tokens of the replies, thinking included, by the provider's count.
        cost_usd: What they cost; None where the price of a model is unknown.
    """

    calls: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0

    def __add__(self, other: Self) -> Self:
        known = self.cost_usd is not None and other.cost_usd is not None
        return dataclasses.replace(
            self,
            calls=self.calls + other.calls,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost_usd=(self.cost_usd or 0.0) + (other.cost_usd or 0.0) if known else None,
        )


class Finish(enum.StrEnum):
    """Why a reply ended."""

    STOP = "stop"
    LENGTH = "length"
    REFUSED = "refused"


@dataclasses.dataclass(frozen=True)
class Reply:
    """What a provider answered, before it is parsed.

    Attributes:
        text: The reply; empty where it was refused.
        finish: Why it ended.
        prompt_tokens: By the provider's count.
        output_tokens: By the provider's count.
        model_version: The model that answered, as the provider names it.
    """

    text: str
    finish: Finish
    prompt_tokens: Annotated[int, pydantic.Field(ge=0)]
    output_tokens: Annotated[int, pydantic.Field(ge=0)]
    model_version: str = ""

    def __post_init__(self) -> None:
        _clean(self, "text", "model_version")


@dataclasses.dataclass(frozen=True)
class Result:
    """The outcome of a request.

    Attributes:
        request: The request.
        value: The parsed reply, of the request's schema; None where there is none.
        error: `refused`, `bad_output` or `truncated` where there is no value.
        raw: The last reply's text.
        usage: What all attempts used.
        from_journal: Whether the reply had been paid for before.
        model_version: The model that answered, as the provider names it; empty where it does not.
    """

    request: Request
    value: Any
    error: str | None
    raw: str
    usage: Usage
    from_journal: bool
    model_version: str = ""

    def required(self) -> Any:
        """The value.

        Raises:
            RefusedError: The provider refused the request.
            BadOutputError: No attempt brought a readable reply.
        """
        if self.value is not None:
            return self.value
        if self.error == "refused":
            raise RefusedError
        raise BadOutputError(self.error or "bad_output")


def _clean(instance: object, *names: str) -> None:
    """Replace halves of surrogate pairs: JSON can carry them, but no file and no request can."""
    for name in names:
        text = getattr(instance, name)
        if not text.isascii():
            object.__setattr__(instance, name, text.encode("utf-8", "replace").decode())
