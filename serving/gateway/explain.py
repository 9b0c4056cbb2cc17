"""Says of requests in a file what would happen to each, and why; nothing is sent."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from core.errors import UserError
from serving.gateway.matching import (
    MAX_BODY,
    TOO_LARGE,
    UNREADABLE,
    Match,
    Matcher,
    Unmatched,
    too_long,
)
from serving.gateway.protocols import GEMINI, OPENAI, recognize
from serving.gateway.protocols.base import Route, UnreadableError
from serving.gateway.task import ServedTask

_EXCERPT = 120  # characters of a text that is shown


class Explanation(NamedTuple):
    """What would happen to one request in an outage.

    Attributes:
        line: Its line in the file, from 1.
        task: The task whose tuned model answers; empty where none does.
        reason: Why none does, as in the metrics; empty where one does.
        text: The same in words.
    """

    line: int
    task: str
    reason: str
    text: str

    def __str__(self) -> str:
        """One line for people."""
        verdict = f"task {self.task}" if self.task else f"service only ({self.reason})"
        return f"line {self.line}: {verdict}: {self.text}"


def explain(file: Path, tasks: Sequence[ServedTask]) -> list[Explanation]:
    """Explain every request of a file.

    Args:
        file: A request a line: the body of `generateContent` or of a chat completion, or an object
            with `path` and `body`, as logs of proxies have it.
        tasks: In the order in which they are matched; nothing is asked of their servers.

    Raises:
        UserError: The file cannot be read.
    """
    try:
        # `str.splitlines` would also split at U+2028, which JSON strings may hold.
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{str(file)!r} cannot be read ({reason}). Give a file with one request body per line."
        ) from error
    return explain_lines(lines, tasks)


def explain_lines(lines: Iterable[str], tasks: Sequence[ServedTask]) -> list[Explanation]:
    """Explain requests; see `explain`."""
    matcher = Matcher(tasks)
    return [
        _explain(number, line, matcher)
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]


def _explain(number: int, line: str, matcher: Matcher) -> Explanation:
    try:
        body, route, size = _read(line)
    except ValueError as error:
        return Explanation(number, "", UNREADABLE, str(error))
    if route is None:
        return Explanation(number, "", "path", "it is no request for an answer; it passes through")
    try:
        found: Match | Unmatched = Unmatched(TOO_LARGE)
        if size <= MAX_BODY:
            found = matcher.match(route.dialect.read_request(body, route))
    except UnreadableError:
        found = Unmatched(UNREADABLE)
    if isinstance(found, Match):
        tokens = found.task.count_tokens(found.messages)
        if unmatched := too_long(found):
            room = found.task.context_length - found.task.max_output_tokens
            return Explanation(
                number, "", unmatched.reason, f"{unmatched.why} ({tokens} tokens; {room} fit)"
            )
        message = _excerpt(found.messages[-1].text)
        return Explanation(number, found.task.name, "", f"{tokens} tokens, message {message}")
    shown = f": {_excerpt(found.excerpt)}" if found.excerpt else ""
    return Explanation(number, "", found.reason, f"{found.why}{shown}")


def _read(line: str) -> tuple[Any, Route | None, int]:
    """Return the body of a request, its route and its bytes; ValueError where it is no request."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    if isinstance(path := value.get("path"), str):
        path, _, query = path.partition("?")
        body = value.get("body")
        route = recognize(str(value.get("method", "POST")).upper(), path, query.encode())
        if isinstance(body, str):
            return json.loads(body), route, len(body.encode(errors="replace"))
        return body, route, _size(body)
    if "contents" in value:
        model = str(value.get("model", "")).rpartition("/")[2]
        return value, Route(GEMINI, model, None), _size(value)
    if "messages" in value:
        return value, Route(OPENAI, "", None), _size(value)
    raise ValueError("it has neither `contents` (Gemini) nor `messages` (OpenAI) nor `path`")


def _size(body: Any) -> int:
    """Return the bytes of a body as clients write it: without white space around its parts."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode(errors="replace"))


def _excerpt(text: str) -> str:
    squeezed = " ".join(text.split())
    return repr(squeezed if len(squeezed) <= _EXCERPT else f"{squeezed[: _EXCERPT - 1]}…")
