"""Faults of the service, and what each means for the request and the breakers."""

import enum
import socket
import ssl
from collections.abc import Mapping
from typing import Any, NamedTuple

import aiohttp

from service_llm.pacing.retry_after import retry_after, retry_info

# https://github.com/googleapis/googleapis/blob/master/google/api/error_reason.proto
_KEY_REASONS = frozenset(
    {
        "ACCESS_TOKEN_EXPIRED",
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        "ACCESS_TOKEN_TYPE_UNSUPPORTED",
        "ACCOUNT_STATE_INVALID",
        "API_KEY_ANDROID_APP_BLOCKED",
        "API_KEY_HTTP_REFERRER_BLOCKED",
        "API_KEY_INVALID",
        "API_KEY_IOS_APP_BLOCKED",
        "API_KEY_IP_ADDRESS_BLOCKED",
        "API_KEY_SERVICE_BLOCKED",
        "BILLING_DISABLED",
        "CONSUMER_INVALID",
        "CONSUMER_SUSPENDED",
        "CREDENTIALS_MISSING",
        "LOCATION_ORG_POLICY_VIOLATED",
        "LOCATION_POLICY_VIOLATED",
        "ORG_RESTRICTION_VIOLATION",
        "SERVICE_DISABLED",
        "USER_PROJECT_DENIED",
    }
)
# Texts of refusals that come without details. An error about the request may quote what the caller
# wrote, so the first ones count at the beginning only, and those of the region and of a project
# that has to pay there only with the status that comes with them (google-gemini/gemini-cli#24641,
# kolbytn/mindcraft#133).
_KEY_TEXTS = ("api key not valid", "api key not found", "api key expired")
_PRECONDITION = "FAILED_PRECONDITION"
_PRECONDITION_TEXTS = ("user location is not supported", "billing account", "enable billing")
_UNAUTHORIZED, _PAYMENT, _FORBIDDEN = 401, 402, 403
_TIMEOUT, _QUOTA, _CANCELLED = 408, 429, 499


class Fault(enum.StrEnum):
    """A fault of the service; the value is the `reason` in headers and metrics."""

    CONNECTION = "F1"  # refused or reset
    DNS = "F2"
    TLS = "F3"
    FIRST_BYTE = "F4"  # none in time
    STALL = "F5"  # between bytes
    SERVER = "F6"  # 5xx
    QUOTA = "F7"  # 429
    KEY = "F8"  # key, billing or region refused
    RETIRED = "F9"  # 404 or 410 of a model
    EMPTY = "F10"
    CONTRACT = "F11"  # breaks the task's contract
    CUT_EARLY = "F12"  # a stream cut before its first token
    CUT_LATE = "F13"  # after tokens, or ended without a finish reason
    ERROR_INSIDE = "F14"  # an error object inside a 200
    REFUSED = "refusal"  # for safety; a fault only with `refusals: model`


class Scope(enum.Enum):
    """For what a fault counts."""

    BACKEND = "backend"
    CALLER = "caller"  # who did not wait as long as the service may take
    KEY_AND_MODEL = "key and model"
    REQUEST = "request"


class Failure(NamedTuple):
    """A fault as it happened.

    Attributes:
        fault: Which.
        scope: For what it counts.
        text: What happened, for people; holds no key.
        wait_seconds: What the service asked to wait; None where it did not say.
        is_of_key: Whether the key, its billing or its region was refused.
    """

    fault: Fault
    scope: Scope
    text: str
    wait_seconds: float | None = None
    is_of_key: bool = False


_SCOPES = {
    Fault.QUOTA: Scope.KEY_AND_MODEL,
    Fault.KEY: Scope.KEY_AND_MODEL,
    Fault.RETIRED: Scope.KEY_AND_MODEL,
    Fault.EMPTY: Scope.REQUEST,
    Fault.CONTRACT: Scope.REQUEST,
    Fault.REFUSED: Scope.REQUEST,
}


def failure(fault: Fault, text: str, wait_seconds: float | None = None) -> Failure:
    """Return a failure with the scope that its fault has."""
    scope = _SCOPES.get(fault, Scope.BACKEND)
    return Failure(fault, scope, text, wait_seconds, fault is Fault.KEY)


def of_exception(error: BaseException) -> Failure:
    """Map an exception of aiohttp to a failure; the text quotes class names only."""
    if isinstance(error, aiohttp.ClientConnectorDNSError | socket.gaierror):
        return failure(Fault.DNS, "the service's host name cannot be resolved")
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError | aiohttp.ServerFingerprintMismatch):
        return failure(Fault.TLS, f"TLS with the service failed ({type(error).__name__})")
    if isinstance(error, TimeoutError):
        return failure(Fault.FIRST_BYTE, "the service did not answer in time")
    return failure(Fault.CONNECTION, f"the connection failed ({type(error).__name__})")


def of_status(status: int, body: Any, headers: Mapping[str, str]) -> Failure | None:
    """Return the failure that an error response means; None where the error is the caller's own.

    Args:
        status: HTTP status, 400 or above; or the `code` of an error object inside a 200.
        body: The parsed body; anything else than an error object is fine.
        headers: Looked up without regard to case.
    """
    error = error_object(body) or {}
    text = f"the service answered {status}" + (f" {name}" if (name := _name(error)) else "")
    asked = retry_info({"error": error})
    wait = retry_after(headers) if asked is None else asked
    if status == _QUOTA:
        return failure(Fault.QUOTA, text, wait)
    if status in (_UNAUTHORIZED, _PAYMENT, _FORBIDDEN) or (status == 400 and _is_of_key(error)):
        return failure(Fault.KEY, text)
    if status in (404, 410):
        return failure(Fault.RETIRED, text)
    if status == _TIMEOUT:
        return failure(Fault.FIRST_BYTE, text, wait)
    if status >= 500 or status == _CANCELLED:
        return failure(Fault.SERVER, text, wait)
    return None


def of_error_inside(body: Any) -> Failure:
    """Return the failure that an error object inside a 200 means."""
    error = error_object(body) or {}
    code = error.get("code")
    inner = of_status(code, body, {}) if isinstance(code, int) else None
    name = _name(error) or "an error"
    return Failure(
        Fault.ERROR_INSIDE,
        inner.scope if inner else Scope.REQUEST,
        f"the service sent {name} inside a 200",
        inner.wait_seconds if inner else None,
        inner is not None and inner.is_of_key,
    )


def error_object(body: Any) -> dict[str, Any] | None:
    """Return the `error` of a body; None where there is none.

    Gemini's endpoint for OpenAI's protocol wraps errors into an array (n4ze3m/page-assist#406).
    """
    if isinstance(body, list) and body:
        body = body[-1]
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, str) and error:
        return {"message": error}
    return error if isinstance(error, dict) and error else None


def _name(error: Mapping[str, Any]) -> str:
    """Return the status of an error, which is a constant; its message could quote a key."""
    for key in ("status", "type", "code"):
        if isinstance(value := error.get(key), str) and len(value) <= 60:
            return value
    return ""


def _is_of_key(error: Mapping[str, Any]) -> bool:
    details = error.get("details")
    for detail in details if isinstance(details, list) else []:
        if isinstance(detail, dict) and detail.get("reason") in _KEY_REASONS:
            return True
    message = str(error.get("message", "")).lower()
    if error.get("status") == _PRECONDITION:
        return any(text in message for text in _PRECONDITION_TEXTS)
    return message.startswith(_KEY_TEXTS)
