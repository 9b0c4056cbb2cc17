"""Errors as the services send them: Google's form, and OpenAI's.

References:
    https://cloud.google.com/apis/design/errors,
    https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto,
    https://platform.openai.com/docs/guides/error-codes
"""

import math
from collections.abc import Sequence
from typing import Any

Body = dict[str, Any]
_OPENAI_TYPES = {401: "authentication_error", 429: "requests"}
# https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
_RPC_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 10, 429: 8, 500: 13, 503: 14}
_UNKNOWN_RPC_CODE = 2


class HttpError(Exception):
    """A request that is answered with an error.

    Args:
        code: HTTP status.
        status: Google's name of the status, such as `INVALID_ARGUMENT`.
        message: For the person who reads the client's error.
        retry_seconds: When to come back; None when the service does not say.
        details: Further objects of Google's form.
        param: The parameter at fault, as OpenAI names it.
        reason: OpenAI's `code`.
    """

    def __init__(
        self,
        code: int,
        status: str,
        message: str,
        retry_seconds: float | None = None,
        *,
        details: Sequence[Body] = (),
        param: str | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message
        self.retry_seconds = retry_seconds
        self.details = list(details)
        self.param = param
        self.reason = reason

    @property
    def headers(self) -> dict[str, str]:
        """HTTP headers of the response."""
        if self.retry_seconds is None:
            return {}
        return {"Retry-After": str(math.ceil(self.retry_seconds))}

    @property
    def rpc_status(self) -> Body:
        """The error of one request in a batch job: a `google.rpc.Status`."""
        return {"code": _RPC_CODES.get(self.code, _UNKNOWN_RPC_CODE), "message": self.message}

    def google(self) -> Body:
        """Return the body in Google's form."""
        content: Body = {"code": self.code, "message": self.message, "status": self.status}
        details = list(self.details)
        if self.retry_seconds is not None:
            # Rounded up to milliseconds: whoever waits exactly this long must get through.
            delay = math.ceil(self.retry_seconds * 1000) / 1000
            details.append(
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{delay:g}s"}
            )
        if details:
            content["details"] = details
        return {"error": content}

    def openai(self) -> Body:
        """Return the body in OpenAI's form."""
        kind = _OPENAI_TYPES.get(
            self.code, "invalid_request_error" if self.code < 500 else "server_error"
        )
        return {
            "error": {
                "message": self.message,
                "type": kind,
                "param": self.param,
                "code": self.reason,
            }
        }


def bad_request(message: str, *, param: str | None = None, reason: str | None = None) -> HttpError:
    """Return the answer to a request that will never work."""
    return HttpError(400, "INVALID_ARGUMENT", message, param=param, reason=reason)
