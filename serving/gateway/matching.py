"""Which task a request is of, and the message that its tuned model gets."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from serving.gateway.protocols.base import Ask
from serving.gateway.task import Message, ServedTask

MAX_BODY = 1024 * 1024  # bytes; a longer request is none of a task
TOO_LARGE = "size"
UNREADABLE = "unreadable"
TOO_LONG = "too_long"

_WHY = {
    "system": "its system text is none of the accepted ones",
    "template": "its text does not fit serving.template",
    "model": "its model is not the alias of a task",
    "turns": "it has more turns than the tuned model has learned",
    "empty": "it has no user text at its end",
    "tools": "it uses tools",
    "images": "it holds images or other data",
    "file_uri": "it refers to files",
    "cached_content": "it uses cachedContent",
    "candidates": "it asks for several candidates",
    "modalities": "it asks for other modalities than text",
    "logprobs": "it asks for probabilities",
    "mime_type": "it asks for another MIME type than text or JSON",
    "schema": "its response schema cannot be read",
    TOO_LARGE: "its body is larger than any request of a task",
    UNREADABLE: "its body cannot be read",
    TOO_LONG: "it is longer than the tuned model's context",
}


class Match(NamedTuple):
    """A request of a task.

    Attributes:
        task: The task.
        messages: What its tuned model gets.
    """

    task: ServedTask
    messages: tuple[Message, ...]


class Unmatched(NamedTuple):
    """A request of no task.

    Attributes:
        reason: A label of metrics.
        excerpt: The text that did not match; empty where that is not the reason.
    """

    reason: str
    excerpt: str = ""

    @property
    def why(self) -> str:
        """The reason in words."""
        return _WHY[self.reason]


class Matcher:
    """Recognizes the requests of tasks.

    Args:
        tasks: The first that matches takes a request.
    """

    def __init__(self, tasks: Sequence[ServedTask]) -> None:
        self._recognizers = [_Recognizer(task) for task in tasks]

    def match(self, ask: Ask) -> Match | Unmatched:
        """Return the task of a request, or why it is of none; the reason is the first task's."""
        if ask.beyond:
            return Unmatched(ask.beyond)
        first: Unmatched | None = None
        for recognizer in self._recognizers:
            found = recognizer.match(ask)
            if isinstance(found, Match):
                return found
            first = first or found
        return first or Unmatched("model")


def too_long(match: Match) -> Unmatched | None:
    """Why a prompt does not fit its model's context; None where it does.

    Counting takes longer than matching, so it is done only where the tuned model may answer.
    """
    task = match.task
    tokens = task.count_tokens(match.messages)
    return Unmatched(TOO_LONG) if tokens + task.max_output_tokens > task.context_length else None


class _Recognizer:
    def __init__(self, task: ServedTask) -> None:
        self._task = task
        texts = (task.instruction, *task.accepted_instructions)
        self._accepted = frozenset(_squeezed(text) for text in texts if text.strip())
        is_template = task.match == "template"
        self._template = _Template(*task.around) if is_template else None
        self._alias = task.model_alias or task.name
        self._last_system = ""  # matched last: most requests bring the very same text

    def match(self, ask: Ask) -> Match | Unmatched:
        """See `Matcher.match`."""
        if problem := self._foreign(ask) or self._untaught(ask):
            return problem
        if self._template is None:
            return Match(self._task, ask.messages)
        *before, last = ask.messages
        message = self._template.message(last.text)
        if message is None:
            return Unmatched("template", last.text)
        if not message:
            return Unmatched("empty")
        return Match(self._task, (*before, Message("user", message)))

    def _foreign(self, ask: Ask) -> Unmatched | None:
        """Why a request is another task's."""
        mode = self._task.match
        if mode == "any" or (mode == "template" and not ask.system):
            return None
        if mode == "model":
            return None if ask.model == self._alias else Unmatched("model", ask.model)
        return None if self._accepts(ask.system) else Unmatched("system", ask.system)

    def _untaught(self, ask: Ask) -> Unmatched | None:
        """Why a request is of a kind that the model has not learned."""
        last = ask.messages[-1] if ask.messages else None
        if last is None or last.role != "user" or not last.text:
            return Unmatched("empty")
        turns = sum(message.role == "user" for message in ask.messages)
        is_single = self._task.learned_turns == 1
        if turns > self._task.learned_turns or (is_single and len(ask.messages) > 1):
            return Unmatched("turns")
        return None

    def _accepts(self, system: str) -> bool:
        if system and system == self._last_system:
            return True
        if _squeezed(system) not in self._accepted:
            return False
        self._last_system = system
        return True


def _squeezed(text: str) -> str:
    return " ".join(text.split())


class _Template:
    """What an application writes around a message, compared but for white space.

    The words before and after are matched on their own, anchored: one pattern for both, with the
    message between them, takes cubic time for a text with many line ends, and everybody waits.
    """

    def __init__(self, before: str, after: str) -> None:
        self._before = _anchored(before)
        self._after = _anchored(after[::-1])  # matched from the end of a text

    def message(self, text: str) -> str | None:
        """Return the message in a text, without white space around it; None where none fits."""
        start, end = self._before.match(text), self._after.match(text[::-1])
        if start is None or end is None or start.end() + end.end() > len(text):
            return None
        return text[start.end() : len(text) - end.end()].strip()


def _anchored(text: str) -> re.Pattern[str]:
    words = text.split()
    if not words:
        return re.compile("")
    # A word of the template is not the beginning of a longer one: `Sort` is not `Sorting`, nor is
    # it `Sort-of`.
    is_word = text[-1].isspace() and re.match(r"\w", words[-1][-1])
    end = r"(?=\s|$)" if is_word else ""
    return re.compile(r"\s*" + r"\s+".join(map(re.escape, words)) + end)
