"""Reads how long a server asks to wait before the next request."""

import datetime
import email.utils
import math
import re
from collections.abc import Mapping

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s", re.ASCII)
_SECONDS = re.compile(r"\d{1,9}(?:\.\d{1,9})?", re.ASCII)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header; None where it is missing or says nothing that is known.

    Args:
        headers: Of the response, by names that are looked up without regard to case.

    Reference:
        https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    value = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    try:
        then, now = _time(value), _now(headers)
        return max(0.0, math.ceil((then - now).total_seconds()))
    except (ValueError, TypeError, OverflowError):
        return None


def _now(headers: Mapping[str, str]) -> datetime.datetime:
    """Return the time of the clock that a date is of: the server's, where it says it.

    This machine's may be days off: a pause of seconds would be one of days, which ends a run.
    """
    try:
        return _time(headers.get("Date", ""))
    except (ValueError, TypeError, OverflowError):
        return datetime.datetime.now(datetime.UTC)


def _time(text: str) -> datetime.datetime:
    found = email.utils.parsedate_to_datetime(text.strip())
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)


def retry_info(body: object) -> float | None:
    """Seconds of the RetryInfo in a Google API's error; None where there is none.

    Reference:
        https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto
    """
    for detail in error_details(body):
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and (found := _DURATION.fullmatch(delay)):
            return float(found.group(1))
    return None


def error_details(body: object) -> list[Mapping[str, object]]:
    """Return the details in a Google API's error; its OpenAI-compatible API puts it in a list."""
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    error = body.get("error", body) if isinstance(body, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    return [item for item in details if isinstance(item, dict)] if isinstance(details, list) else []
