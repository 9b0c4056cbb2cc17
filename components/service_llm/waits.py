"""Reads how long a server asks to wait before the next request."""

import datetime
import email.utils
import math
import re
from collections.abc import Mapping
from typing import Any

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
        then = email.utils.parsedate_to_datetime(value)
        now = datetime.datetime.now(then.tzinfo or datetime.UTC)
        return max(0.0, math.ceil((then.replace(tzinfo=now.tzinfo) - now).total_seconds()))
    except (ValueError, TypeError, OverflowError):
        return None


def retry_info(body: Any) -> float | None:
    """Seconds of the RetryInfo in a Google API's error; None where there is none.

    Reference:
        https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto
    """
    error = body.get("error", body) if isinstance(body, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else []:
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and (found := _DURATION.fullmatch(delay)):
            return float(found.group(1))
    return None
