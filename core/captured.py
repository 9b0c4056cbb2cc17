"""One captured exchange between an application and its gateway, a line of a JSONL file."""

from typing import Literal

from pydantic.dataclasses import dataclass

from core.records import Row


@dataclass(frozen=True)
class CapturedMessage:
    """One message of the request.

    Attributes:
        role: Who wrote it.
        text: What it says.
    """

    role: Literal["system", "user", "assistant"]
    text: str


@dataclass(frozen=True)
class CapturedUsage:
    """What the service counted; None where it did not say.

    Attributes:
        prompt_tokens: Tokens of the prompt.
        output_tokens: Tokens of the answer, thinking included.
    """

    prompt_tokens: int | None
    output_tokens: int | None


@dataclass(frozen=True)
class CapturedService:
    """The service LLM's part.

    Attributes:
        text: Its answer; None where there was none, where it is not all of it, or where the service
            refused.
        status: HTTP status; 0 where there was no response.
        milliseconds: Until the answer was complete.
        first_byte_milliseconds: Until its first byte; None where there was none.
        usage: Tokens; None where the answer does not say.
        model_version: The model that answered, in the service's words; None where it did not say.
    """

    text: str | None
    status: int
    milliseconds: float
    first_byte_milliseconds: float | None
    usage: CapturedUsage | None
    model_version: str | None


@dataclass(frozen=True)
class CapturedModel:
    """The tuned model's part.

    Attributes:
        text: Its answer.
        milliseconds: Until the answer was complete.
        confidence: Mean log-probability of the answer's tokens; None where it is not measured.
        round: The round that made the model.
        model_version: Task, round and hash of the weights: a run that is repeated makes another
            model in the same round. None where an earlier gateway wrote the line.
    """

    text: str
    milliseconds: float
    confidence: float | None
    round: int
    model_version: str | None = None

    @property
    def identity(self) -> tuple[int, str | None]:
        """What tells the model apart from others."""
        return self.round, self.model_version


@dataclass(frozen=True)
class CapturedExchange(Row):
    """A request of a task, and what came of it.

    Attributes:
        schema_version: Of these fields.
        id: Unique.
        time: When the request arrived, ISO 8601 in UTC.
        task: Name of the task.
        protocol: `gemini`, `vertex` or `openai`.
        stream: Whether a streamed answer was asked for.
        session: Stands for the user or session; None where the request names none.
        messages: The system text, and the turns as the tuned model gets them.
        service: None where the service was not asked.
        model: None where the tuned model was not asked, or has not answered.
        served_by: `service`, `model` or `none`.
        reason: Why; `ok` for a healthy answer of the service.
    """

    schema_version: Literal[1]
    id: str
    time: str
    task: str
    protocol: str
    stream: bool
    session: str | None
    messages: tuple[CapturedMessage, ...]
    service: CapturedService | None
    model: CapturedModel | None
    served_by: Literal["service", "model", "none"]
    reason: str
