"""Reads lines of a batch job's output: a reply, or why there is none."""

import contextlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from service_llm.batch_jobs import BatchReply
from service_llm.errors import (
    AuthenticationError,
    CreditError,
    NotAcceptedError,
    QuotaError,
    TransientError,
)
from service_llm.providers.gemini import GeminiClient
from service_llm.providers.replies import read_gemini
from service_llm.refusals import Refusal
from service_llm.statuses import status_named
from service_llm.types import Request

_SERVER_ERROR = 500
_WELL = {"", "OK", "SUCCEEDED"}


class Sent(NamedTuple):
    """A request of a job of this process, and its `generationConfig` without the schema."""

    request: Request
    config: Mapping[str, Any]


class ReplyLines:
    """Reads lines of one model's jobs, and learns from errors what it refuses.

    Args:
        client: Of the service.
        model: Its name.
    """

    def __init__(self, client: GeminiClient, model: str) -> None:
        self._client = client
        self._model = model

    def read(self, item: Mapping[str, Any], sent: Mapping[str, Sent]) -> BatchReply:
        """Return what came back for one request.

        Args:
            item: The line, with its `key`.
            sent: The requests of the job, by key, as far as they are known.
        """
        key, response = item.get("key"), item.get("response")
        key = key if isinstance(key, str) else None
        response = response if isinstance(response, dict) else {}
        said = (item.get("error"), item.get("status"), response.get("error"))
        error = next(filter(_is_failure, said), None)
        if error is None and response:
            try:
                return BatchReply(key, read_gemini(response, self._model))
            except TransientError as unreadable:
                return BatchReply(key, None, str(unreadable))
        return self.failed(key, _with_body(error), sent.get(key or ""))

    def failed(self, key: str | None, error: object, sent: Sent | None) -> BatchReply:
        """Return what an error means for one request."""
        refusal = refusal_by(error)
        if sent and self._client.parameters.learn(refusal, *sent):
            return BatchReply(key, None, refusal.text, is_adapted=True)
        meant = self._client.translated(refusal)
        words = meant.reason if isinstance(meant, NotAcceptedError) and meant.reason else str(meant)
        is_permanent = not isinstance(meant, TransientError)
        ends_run = None
        if isinstance(meant, AuthenticationError | CreditError | QuotaError):
            ends_run = meant
        return BatchReply(key, None, words, is_permanent, ends_run, refusal=refusal)


def refusal_by(error: object) -> Refusal:
    """Return an error in a job, as one of a request."""
    status = status_named(error, has_rpc_codes=True) or _SERVER_ERROR
    return Refusal(status, error or "no reply and no error")


def _is_failure(error: object) -> bool:
    """Whether what stands where an error may stand is one: a status may say that all is well."""
    if isinstance(error, dict):
        return any(error.values())
    return isinstance(error, str) and error.strip().upper() not in _WELL


def _with_body(error: object) -> object:
    """Return an error as JSON where it is a text that ends in it, as in Vertex AI's output."""
    text, brace, rest = error.partition("{") if isinstance(error, str) else ("", "", "")
    if brace:
        with contextlib.suppress(ValueError, RecursionError):
            body = json.loads(brace + rest)
            is_named = status_named(body, has_rpc_codes=True) is not None
            return body if is_named else {**body, "status": text.partition(":")[0].strip()}
    return error
