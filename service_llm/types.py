"""Requests to the service LLM, its replies, and what they cost."""

import dataclasses
import enum
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Protocol, Self

import pydantic

from core.usage import Usage
from service_llm.errors import BadOutputError, RefusedError


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
        usage_known: Whether the provider counted the tokens; where not, both counts are 0.
        reason: Why it was refused, in the provider's words.
        seconds: From the request to the whole reply; None where that is not known, as in a batch.
    """

    text: str
    finish: Finish
    prompt_tokens: Annotated[int, pydantic.Field(ge=0)]
    output_tokens: Annotated[int, pydantic.Field(ge=0)]
    model_version: str = ""
    usage_known: bool = True
    reason: str = ""
    seconds: Annotated[float, pydantic.Field(ge=0, allow_inf_nan=False)] | None = dataclasses.field(
        default=None, compare=False
    )

    def __post_init__(self) -> None:
        _clean(self, "text", "model_version", "reason")


@dataclasses.dataclass(frozen=True)
class Result:
    """The outcome of a request.

    Attributes:
        request: The request.
        value: The parsed reply, of the request's schema; None where there is none.
        error: `refused`, `bad_output` or `truncated` where there is no value.
        raw: The last reply's text; where it was refused, the reason.
        usage: What all attempts used.
        from_journal: Whether the reply had been paid for before.
        model_version: The model that answered, as the provider names it; empty where it does not.
        reply: The reply that was read; None where the request was rejected.
    """

    request: Request
    value: Any
    error: str | None
    raw: str
    usage: Usage
    from_journal: bool
    model_version: str = ""
    reply: Reply | None = None

    @classmethod
    def of(
        cls, request: Request, value: Any, error: str | None, reply: Reply, usage: Usage
    ) -> Self:
        """Return the outcome that a reply brought."""
        raw = reply.text or reply.reason
        return cls(request, value, error, raw, usage, False, reply.model_version, reply)

    def required(self) -> Any:
        """Return the value.

        Raises:
            RefusedError: The provider refused the request.
            BadOutputError: No attempt brought a readable reply.
        """
        if self.value is not None:
            return self.value
        if self.error == "refused":
            raise RefusedError(self.raw)
        raise BadOutputError(self.error or "bad_output")


def _clean(instance: object, *names: str) -> None:
    """Replace halves of surrogate pairs: JSON can carry them, but no file and no request can."""
    for name in names:
        text = getattr(instance, name)
        if not text.isascii():
            object.__setattr__(instance, name, text.encode("utf-8", "replace").decode())


class ServiceClient(Protocol):
    """The part of the client that most callers need; tests may bring another."""

    def map(self, requests: Iterable[Request]) -> Iterator[Result]:
        """Send requests; yield their results in the order in which they are completed."""
        ...
