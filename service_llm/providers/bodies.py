"""What a response of status 200 holds: JSON, or what stands there in its place.

A server without the path often answers with the page of its user interface, and some gateways
stream although nobody asked for it: https://github.com/songquanpeng/one-api/issues/1473,
https://github.com/decolua/9router/issues/3492, https://github.com/gumieri/nenya/issues/17
"""

import json
import re
from collections.abc import Callable

from service_llm.errors import KEPT, BadRequestError, TransientError
from service_llm.markup import is_page, words_of_page
from service_llm.refusals import Refusal, error_in_reply

_MAX_CHARACTERS = 200  # of what is shown
_EVENT = re.compile(r"(?:data|event|id|retry)?:")
# https://github.com/bionic-gpt/bionic-gpt/issues/627
_STATED = re.compile(r"\b(?:status|code|error|http)\W{1,3}([45]\d\d)\b", re.IGNORECASE)
_DATA = re.compile(r"^data:(.*)$", re.MULTILINE)


def parse_body(
    content: str | bytes, model: str, *, wrong_path: str, shown: Callable[[str], str] = str
) -> object:
    """Return the JSON of a response, or the error that stands in another text.

    Args:
        content: Of the response.
        model: Who was asked.
        wrong_path: What to do where nothing is served at the path.
        shown: Takes out of a text what must not be shown.

    Raises:
        BadRequestError: It is a stream of events without an error.
        TransientError: It is none of these; a proxy or a server that is starting up may have
            answered.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        text = shown(_text_of(content))
    if page := error_of_page(text, model, wrong_path):
        raise page
    if _is_stream(text.strip()):
        for event in map(_json, _DATA.findall(text)):
            if error_in_reply(event):
                return event
        raise BadRequestError(
            f"{model} answered with a stream of events, although none was asked for. Set the "
            f"gateway or proxy at base_url so that it does not stream, or use another. {KEPT}"
        )
    words = _shortened(text) or "it is empty."
    if words[0] in "{[":  # it may be a piece of a reply; errors never show replies
        raise TransientError(f"{model} sent a reply that is not JSON.")
    if stated := _STATED.search(words):
        return {"error": {"message": words, "code": int(stated[1])}}
    raise TransientError(f"{model} sent a reply that is not JSON: {words}")


def error_of_page(content: str | bytes, model: str, wrong_path: str) -> TransientError | None:
    """Return the error that a web page in place of JSON means; None where it is no page."""
    text = _text_of(content)
    if not is_page(text):
        return None
    words = _shortened(words_of_page(text))
    said = f" ({words})" if words else ""
    # A server that was never reached is given up sooner than one that does not answer any longer.
    return TransientError(
        f"{model}: a web page came in place of a reply{said}. {wrong_path}", is_unreachable=True
    )


def with_words_of(
    body: object, error: TransientError, shown: Callable[[str], str]
) -> TransientError:
    """Return an error about a body of status 200 that is no reply, with what the body says."""
    words = shown(Refusal(200, body).words)
    return TransientError(f"{error} It says: {words}") if words else error


def _is_stream(text: str) -> bool:
    """Whether it is one as a whole, or ends like one."""
    lines = text.split("\n")
    return any(_EVENT.match(line) for line in (lines[0], lines[-1]))


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _text_of(content: str | bytes) -> str:
    text = content.decode("utf-8", "replace") if isinstance(content, bytes) else content
    return text.removeprefix("\ufeff")


def _shortened(text: str) -> str:
    return " ".join(text.split())[:_MAX_CHARACTERS]
