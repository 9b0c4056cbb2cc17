"""What the protocols have in common: how a request and an answer are read and written."""

import enum
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from serving.gateway.task import Message


class StreamForm(enum.Enum):
    """How a streamed answer is written."""

    SSE = "sse"  # server-sent events
    ARRAY = "array"  # one JSON array of responses


class UnreadableError(ValueError):
    """A body is no request of its protocol; the service says what is wrong with it."""


class Ask(NamedTuple):
    """A request for an answer, as far as the gateway understands it.

    Attributes:
        model: The model that is asked for.
        stream: The form of a streamed answer; None for a whole one.
        system: The system text, empty where there is none.
        messages: The turns.
        beyond: Why no model of text alone can answer, as a label of metrics (`tools`, `images`);
            empty where one can.
        wants_json: Whether the answer has to be JSON.
        schema: JSON Schema of the answer; None where the request has none.
        max_output_tokens: Tokens of the answer; None for no limit.
        stop: Texts that end the answer.
        thinking: The thinking setting, as a key; empty where it says nothing.
        has_usage: Whether a streamed answer has to end with its usage (OpenAI's protocol).
        user: The application's name for its user; empty where it gives none (OpenAI's protocol).
    """

    model: str
    stream: StreamForm | None
    system: str
    messages: tuple[Message, ...]
    beyond: str = ""
    wants_json: bool = False
    schema: Mapping[str, Any] | None = None
    max_output_tokens: int | None = None
    stop: tuple[str, ...] = ()
    thinking: str = ""
    has_usage: bool = False
    user: str = ""


class ModelAnswer(NamedTuple):
    """An answer of the tuned model.

    Attributes:
        text: All of it.
        pieces: The same in the pieces in which it came.
        is_cut: Whether it ended at the limit of tokens.
        prompt_tokens: Tokens of the prompt; None where the server does not say.
        output_tokens: Tokens of the answer.
        confidence: Mean log-probability of its tokens; None where it was not measured.
    """

    text: str
    pieces: tuple[str, ...]
    is_cut: bool
    prompt_tokens: int | None
    output_tokens: int
    confidence: float | None = None


class Reading:
    """What a service's answer has said so far.

    Attributes:
        has_text: Whether there was any text but white space, thoughts left out.
        has_body: Whether there was anything in the protocol's form, even if it says nothing.
        has_candidate: Whether there was any candidate.
        has_more: Whether there was something else than text, as calls of functions or images.
        finish: The finish reason in the protocol's own words; empty while there is none.
        is_refused: Whether the service refused for safety.
        is_cut: Whether the answer ended before its end, as at its limit of tokens.
        error: The body of an error object, or None.
        prompt_tokens: By the service's count; None where it has not said.
        output_tokens: Likewise, thinking included.
        model_version: The model that answers, in the service's words.
    """

    __slots__ = (
        "_texts",
        "error",
        "finish",
        "has_body",
        "has_candidate",
        "has_more",
        "has_text",
        "is_cut",
        "is_refused",
        "model_version",
        "output_tokens",
        "prompt_tokens",
    )

    def __init__(self) -> None:
        self._texts: list[str] = []
        self.has_text = False
        self.has_body = False
        self.has_candidate = False
        self.has_more = False
        self.finish = ""
        self.is_refused = False
        self.is_cut = False
        self.error: Any = None
        self.prompt_tokens: int | None = None
        self.output_tokens: int | None = None
        self.model_version = ""

    @property
    def text(self) -> str:
        """The text of the first candidate, thoughts left out."""
        return "".join(self._texts)

    def add_text(self, text: str) -> None:
        """Add what the first candidate says next."""
        if text:
            self.has_text = self.has_text or not text.isspace()
            self._texts.append(text)

    def add_usage(self, prompt_tokens: object, *output_tokens: object) -> None:
        """Set the tokens so far; what is no number counts as not said."""
        outputs = [number for number in output_tokens if isinstance(number, int)]
        if isinstance(prompt_tokens, int):
            self.prompt_tokens = prompt_tokens
        if outputs:
            self.output_tokens = sum(outputs)

    def add_version(self, version: object) -> None:
        """Set the model that answers, if it is named."""
        if isinstance(version, str) and version:
            self.model_version = version


class Dialect(Protocol):
    """One protocol."""

    @property
    def name(self) -> str:
        """The `protocol` label of metrics."""

    def read_request(self, body: Mapping[str, Any], route: "Route") -> Ask:
        """Return what a request asks for.

        Raises:
            UnreadableError: The body is no request of this protocol.
        """

    def read_answer(self, reading: Reading, body: Any) -> None:
        """Add a whole answer, or one piece of a stream, to what was read before."""

    def write_answer(self, ask: Ask, answer: ModelAnswer, version: str) -> bytes:
        """Return a whole answer.

        Args:
            ask: What it answers.
            answer: What the tuned model said.
            version: What answered.
        """

    def write_stream(self, ask: Ask, answer: ModelAnswer, version: str) -> Iterator[bytes]:
        """Return the pieces of a streamed answer, in the form that was asked for."""

    def write_error(
        self, status: int, message: str, retry_after_seconds: float | None = None
    ) -> bytes:
        """Return the body of an error response."""

    def write_stream_error(self, form: StreamForm, message: str, *, is_first: bool) -> bytes:
        """Return the end of a stream that breaks.

        Args:
            form: Of the stream.
            message: What happened.
            is_first: Whether nothing of the stream was sent before.
        """


class Route(NamedTuple):
    """Where a request for an answer goes.

    Attributes:
        dialect: The protocol.
        model: The model in the path; empty where the body names it.
        stream: The form of a streamed answer, where the path tells it.
    """

    dialect: Dialect
    model: str
    stream: StreamForm | None


def token_limit(value: Any) -> int | None:
    """Return a limit of tokens, also where it is written as text; None for none.

    Raises:
        UnreadableError: It is no limit.
    """
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_endless = isinstance(value, float) and not math.isfinite(value)
    if not is_number or is_endless or value != int(value):
        raise UnreadableError("no number of tokens")
    if value < 0:
        raise UnreadableError("a negative number of tokens")
    return int(value) or None
