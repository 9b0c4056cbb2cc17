"""HTTP statuses as bodies name them: by number, by a code of RPC, or by a word.

Sources: https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto,
https://platform.claude.com/docs/en/api/errors, https://platform.openai.com/docs/guides/error-codes
"""

import http
import re

_WORDS = {
    400: "INVALID_ARGUMENT FAILED_PRECONDITION OUT_OF_RANGE invalid_request invalid_value "
    "invalid_parameter unsupported_parameter unsupported_value context_length_exceeded "
    "context_window_exceeded string_above_max_length invalid_prompt content_filter "
    "content_policy_violation data_inspection_failed sensitive_words_detected",
    401: "UNAUTHENTICATED authentication invalid_authentication invalid_api_key",
    402: "billing insufficient_balance",
    403: "PERMISSION_DENIED permission access_denied",
    404: "NOT_FOUND model_not_found",
    413: "request_too_large",
    422: "validation",
    429: "RESOURCE_EXHAUSTED rate_limit rate_limit_exceeded rate_limited insufficient_quota "
    "quota_exceeded",
    499: "CANCELLED",
    500: "INTERNAL UNKNOWN api server",
    503: "UNAVAILABLE overloaded engine_overloaded server_overloaded server_is_overloaded "
    "model_overloaded",
    504: "DEADLINE_EXCEEDED timeout",
}
_OF_RPC = {1: 499, 3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 9: 400, 11: 400, 13: 500, 14: 503,
           16: 401}  # fmt: skip
_FIELDS = ("code", "status", "status_code", "statusCode", "http_status", "error_type", "type")
_NUMBER = re.compile(r"[45]\d\d(?![\w.])", re.ASCII)


def status_named(error: object, *, has_rpc_codes: bool = False) -> int | None:
    """Return the HTTP status that an error names; None where it names none.

    Args:
        error: Fields, or a text that begins with the status.
        has_rpc_codes: Whether small numbers are codes of RPC.
    """
    if isinstance(error, str):
        return _of_text(error.partition(":")[0])
    if not isinstance(error, dict):
        return None
    for name in _FIELDS:
        value = error.get(name)
        if isinstance(value, str):
            named = value.strip()
            value = int(named) if re.fullmatch(r"\d{1,3}", named, re.ASCII) else _of_text(named)
        if isinstance(value, float) and value.is_integer():  # as of JSON's own numbers
            value = int(value)
        if type(value) is int:
            status = _OF_RPC.get(value, value) if has_rpc_codes else value
            if 400 <= status < 600:
                return status
    return status_named(error.get("error"), has_rpc_codes=has_rpc_codes)


def _of_text(text: str) -> int | None:
    if number := _NUMBER.match(text.strip()):
        return int(number[0])
    return _OF_WORD.get(_plain(text))


def _plain(word: str) -> str:
    """Return a word as it is in all spellings: `NotFoundError`, `not_found_error`, `Not Found`."""
    return re.sub(r"[^a-z]", "", word.lower()).removesuffix("exception").removesuffix("error")


_OF_WORD = {
    **{_plain(known.phrase): known.value for known in http.HTTPStatus if known.value >= 400},
    **{_plain(word): status for status, words in _WORDS.items() for word in words.split()},
}
