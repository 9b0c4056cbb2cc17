"""What a service's error says: its own words and codes, wherever it puts them.

The bodies are those of Google's and OpenAI's references and of public reports; tests name them.
"""

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping

from service_llm.markup import is_page, words_of_page
from service_llm.statuses import status_named

_MAX_CHARACTERS = 600  # of an error's text; some servers send whole pages
_UNAUTHENTICATED, _PAYMENT_REQUIRED = 401, 402
_NOT_FOUND, _NOT_ALLOWED = 404, 405
_SERVER_ERROR = 500
# Why a choice ended before the model was done; its text is a piece of a reply:
# https://github.com/genkit-ai/genkit/pull/6259
_BROKEN_OFF = {"error", "network_error", "insufficient_system_resource"}
_NO_REASON = {"None", "", "stop"}
_OVERLOAD = 503
MODERATED_CODES = {
    "content_filter",
    "content_policy_violation",
    "data_inspection_failed",
    "DataInspectionFailed",
    "invalid_prompt",
    "sensitive_words_detected",
}
TOO_LONG_CODES = {"context_length_exceeded", "string_above_max_length"}
KEY_TEXT = re.compile(
    r"API key (is )?(not valid|expired|not found|invalid)|(incorrect|invalid) (x-)?API[ -]key",
    re.IGNORECASE,
)
NO_MONEY_TEXT = re.compile(
    r"credit balance is too low|credits are depleted|budget has been exceeded"
    r"|insufficient (account )?(balance|credit|funds)|exceeded (its|your) (monthly )?spending",
    re.IGNORECASE,
)
# What servers say of a path that they do not have. A model that they do not have is another 404.
_NO_SUCH_PATH = re.compile(
    r"unexpected endpoint or method|404 page not found|^(file )?not found$|cannot (post|get) /"
    r"|no route|invalid url|unknown request url",
    re.IGNORECASE,
)


@dataclasses.dataclass(frozen=True)
class Refusal:
    """An error as a service sent it.

    Attributes:
        status: HTTP status, or what the body names where the service answered 200.
        body: Parsed JSON, or text.
        headers: Of the response, by names that are looked up without regard to case.
    """

    status: int
    body: object
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def text(self) -> str:
        """The error in the service's own words."""
        words = self.words
        if not words and self.body:
            words = self.body if isinstance(self.body, str) else json.dumps(self.body, default=str)
        return " ".join(words.split())[:_MAX_CHARACTERS]

    @property
    def words(self) -> str:
        """What stands in the fields for texts of errors, and nothing else of the body."""
        words = " ".join(dict.fromkeys(filter(None, _words(self.body))))
        return " ".join(words.split())[:_MAX_CHARACTERS]

    @property
    def codes(self) -> set[str]:
        """What names the kind of error, besides the status."""
        return set(_codes(self.body))

    @property
    def is_about_the_text(self) -> bool:
        """Whether a code says that the prompt is refused, and no parameter as well."""
        return bool(self.codes & (MODERATED_CODES | TOO_LONG_CODES))

    @property
    def is_wrong_path(self) -> bool:
        """Whether nothing is served at the path, rather than no such model."""
        if self.status != _NOT_FOUND:
            return self.status == _NOT_ALLOWED
        is_told = _NO_SUCH_PATH.search(self.text) is not None
        return is_told or not self.text or is_page(self.body)


def error_in_reply(body: object) -> Refusal | None:
    """Return the error that a body holds although its status was 200; None where it holds none.

    https://openrouter.ai/docs/api/reference/errors-and-debugging; LM Studio answers so to a path
    that it does not know: https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/618
    """
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    error = body.get("error") if isinstance(body, dict) else None
    if not error or _is_blank(error):
        return _error_at_the_top(body) or _error_in_choice(body)
    if isinstance(error, str) and _NO_SUCH_PATH.search(error):
        return Refusal(_NOT_FOUND, body)
    return Refusal(status_named(error) or status_named(body) or _status_in_words(body), body)


def _status_in_words(body: object) -> int:
    """Return the status of an error in a 200 that names none."""
    words = Refusal(_SERVER_ERROR, body).words
    if KEY_TEXT.search(words):
        return _UNAUTHENTICATED
    return _PAYMENT_REQUIRED if NO_MONEY_TEXT.search(words) else _SERVER_ERROR


def _is_blank(error: object) -> bool:
    """Whether an error has fields that say nothing, as next to replies of one-api.

    https://github.com/Calcium-Ion/new-api-horizon/issues/9
    """
    return isinstance(error, dict) and not any(error.values())


def _error_at_the_top(body: object) -> Refusal | None:
    """Return the error that a body is as a whole.

    https://github.com/runpod-workers/worker-vllm/issues/57
    """
    if not isinstance(body, dict) or body.get("choices") or body.get("candidates"):
        return None
    status = status_named(body)
    if status or body.get("object") == "error" or body.get("success") is False:
        return Refusal(status or _SERVER_ERROR, body)
    return None


def _error_in_choice(body: object) -> Refusal | None:
    """Return the error at which a model broke off, given with the text that it had written.

    Without a reason, too, an error in place of a text is one:
    https://openrouter.ai/docs/api/reference/errors-and-debugging
    """
    choices = body.get("choices") if isinstance(body, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        return None
    reason, error = str(choice.get("finish_reason")), choice.get("error")
    message = choice.get("message")
    has_text = isinstance(message, dict) and bool(message.get("content") or message.get("refusal"))
    is_error = bool(error) and not _is_blank(error) and not has_text
    if reason not in _BROKEN_OFF and not (is_error and reason in _NO_REASON):
        return None
    said = {"error": error or f"the reply broke off ({reason})"}
    return Refusal(status_named(error) or _OVERLOAD, said)


def _words(body: object) -> Iterator[str]:
    """Return the texts of an error body, wherever services put them."""
    if isinstance(body, str):
        yield words_of_page(body) if is_page(body) else body
    elif isinstance(body, list):
        for item in body[:5]:
            yield from _words(item)
    elif isinstance(body, dict):
        for name in (
            "message",
            "msg",
            "error",
            "detail",
            "errors",
            "raw",
            "status_msg",
            "base_resp",
        ):
            yield from _words(body.get(name))
        if "msg" in body and isinstance(body.get("loc"), list):
            yield f"({'.'.join(map(str, body['loc']))})"
        yield from _words(body.get("metadata"))


def _codes(body: object) -> Iterator[str]:
    if isinstance(body, list):
        for item in body[:5]:
            yield from _codes(item)
    elif isinstance(body, dict):
        for name in ("code", "type", "status", "reason"):
            if isinstance(body.get(name), str):
                yield body[name]
        for name in ("error", "detail", "details"):
            yield from _codes(body.get(name))
