"""What became of a request for an answer: counted, shown, and handed to `on_exchange`."""

from typing import Literal, NamedTuple

from serving.gateway.protocols.base import Ask, ModelAnswer, Reading
from serving.gateway.task import Message, ServedTask

ServedBy = Literal["service", "model", "none"]


class ServiceAnswer(NamedTuple):
    """What the service said.

    Attributes:
        text: Its answer; None where there was none, where it is not all of it, or where the service
            refused: nobody should learn from that, or be compared with it.
        status: HTTP status; 0 where there was no response.
        seconds: Until the answer was complete, or it was given up.
        first_byte_seconds: Until its first byte; None where there was none.
        prompt_tokens: By its own count; None where it did not say.
        output_tokens: Likewise, thinking included.
        model_version: The model that answered, in its words; empty where it did not say.
    """

    text: str | None
    status: int
    seconds: float
    first_byte_seconds: float | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    model_version: str = ""

    def with_reading(self, reading: Reading, *, is_complete: bool) -> "ServiceAnswer":
        """Return the same with what was read in the answer."""
        is_part = reading.is_cut or reading.is_refused or reading.has_more
        is_whole = is_complete and reading.has_candidate and not is_part
        return self._replace(
            text=reading.text if is_whole else None,
            prompt_tokens=reading.prompt_tokens,
            output_tokens=reading.output_tokens,
            model_version=reading.model_version,
        )


class TunedAnswer(NamedTuple):
    """What the tuned model said.

    Attributes:
        answer: Its answer.
        seconds: Until it was complete.
        round: The round that made the model.
        model_version: Tells its weights apart, too; see `ServedTask.model_version`.
    """

    answer: ModelAnswer
    seconds: float
    round: int
    model_version: str


class Content(NamedTuple):
    """What was said in an exchange; it may hold personal data.

    Attributes:
        task: The task.
        system: The system text, empty where there is none.
        messages: The turns, as the tuned model gets them.
        session: Names the user or session, empty where the request does not.
        service: None where the service was not asked.
        model: None where the tuned model was not asked, or has not answered.
        ask: The request, to ask the tuned model later; None where it cannot be asked.
    """

    task: ServedTask
    system: str
    messages: tuple[Message, ...]
    session: str
    service: ServiceAnswer | None
    model: TunedAnswer | None
    ask: Ask | None = None


class Exchange(NamedTuple):
    """A request for an answer, and what came of it.

    Attributes:
        task: The task's name, or `none`.
        protocol: `gemini`, `vertex` or `openai`.
        is_stream: Whether a streamed answer was asked for.
        served_by: `service`, `model`, or `none`.
        reason: Why.
        status: HTTP status; 0 where the client left.
        seconds: Until it was complete.
        id: Unique.
        time: When the request arrived, seconds since 1970.
        content: What was said; None where the request is of no task.
    """

    task: str
    protocol: str
    is_stream: bool
    served_by: ServedBy
    reason: str
    status: int
    seconds: float
    id: str
    time: float
    content: Content | None = None
