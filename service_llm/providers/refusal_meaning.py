"""What a service's error means: whose fault it is, and whether a retry may help.

The bodies are those of Google's and OpenAI's references and of public reports; tests name them.
"""

import re
from collections.abc import Iterator, Mapping

from service_llm.errors import (
    KEPT,
    AuthenticationError,
    CreditError,
    QuotaError,
    RejectedError,
    ServiceLLMError,
    TransientError,
    error_of_status,
)
from service_llm.markup import is_page
from service_llm.pacing.retry_after import error_details, retry_after, retry_info
from service_llm.refusals import (
    KEY_TEXT,
    MODERATED_CODES,
    NO_MONEY_TEXT,
    TOO_LONG_CODES,
    Refusal,
)

_BAD_REQUEST, _PAYMENT_REQUIRED, _FORBIDDEN = 400, 402, 403
_TOO_LARGE, _UNREADABLE, _QUOTA, _ILLEGAL = 413, 422, 429, 451
_KEY_REASONS = {"API_KEY_INVALID", "invalid_api_key"}
# A 403 for whoever asks, and not for what is asked.
_NO_ACCESS_CODE = re.compile(
    r"PERMISSION_DENIED|UNAUTHENTICATED|(API_KEY|BILLING|SERVICE|CONSUMER|IAM|USER_PROJECT)_\w+"
)
_NO_ACCESS_TEXT = re.compile(
    r"permission|api.?key|credential|token|billing|leaked|suspended|disabled|not (been )?enabled"
    r"|access (denied|to)|not allowed to|your (country|region|location|account)",
    re.IGNORECASE,
)
# Whatever the status: services say it with 400, 403 and 429.
_INSUFFICIENT_QUOTA_CODES = {
    "insufficient_quota",
    "budget_exceeded",
    "billing_hard_limit_reached",
    "billing_not_active",
    "Arrearage",
}
# Quotas that are set back once a day: https://ai.google.dev/gemini-api/docs/rate-limits. Others
# that are counted by the day free up bit by bit, and say how long to wait.
_DAILY_ID, _DAILY_TEXT = "PerDay", "free-models-per-day"
# The model wrote no JSON, or the server lost it: it is no fault of the request.
_FAILED_CODES = {"json_validate_failed"}
_FAILED_TEXT = re.compile(r"\bmodel (has |was |is )?(crashed|unloaded)\b", re.IGNORECASE)
_MODERATED_TEXT = re.compile(
    r"\b(moderation|flagged|inappropriate content|DataInspectionFailed|sensitive words)\b"
    r"|content (management )?policy|usage (polic|guideline)|safety guideline|content exists risk"
    r"|content (was )?blocked|guardrail",
    re.IGNORECASE,
)
_TOO_LONG_TEXT = re.compile(
    r"context (length|window|size)|exceeds the maximum number of tokens|prompt is too long"
    r"|too many (input )?tokens|maximum prompt length|range of input length|inputs. tokens \+",
    re.IGNORECASE,
)
# Than that of a whole minute, so that no waiting helps.
_LARGER_THAN_THE_QUOTA = re.compile(r"^request too large for ", re.IGNORECASE)


def error_of(
    refusal: Refusal, message: str, *, sign_in: str, wrong_path: str
) -> ServiceLLMError | TransientError | RejectedError:
    """Return the error of this package that a service's error means.

    Args:
        refusal: What the service sent.
        message: Its text as it may be shown; holds no secret.
        sign_in: What to do where the service does not let the caller in.
        wrong_path: What to do where nothing is served at the path.
    """
    codes, text = refusal.codes, refusal.text
    if codes & _KEY_REASONS or (refusal.status == _BAD_REQUEST and KEY_TEXT.search(text)):
        return AuthenticationError(f"{message} {sign_in} {KEPT}")
    if _has_no_money(refusal):
        return CreditError(message)
    if refusal.status == _QUOTA and _is_daily(refusal):
        return QuotaError(f"{message} The day's quota is used up.")
    if refusal.status == _BAD_REQUEST and (codes & _FAILED_CODES or _FAILED_TEXT.search(text)):
        return TransientError(message)
    if _is_about_the_request(refusal.status, codes, text, refusal.body):
        return RejectedError(message)
    asked = retry_info(refusal.body)
    options: dict[str, str] = {"advice": wrong_path} if refusal.is_wrong_path else {}
    error = error_of_status(
        refusal.status,
        message,
        wait_seconds=retry_after(refusal.headers) if asked is None else asked,
        location=refusal.headers.get("Location", ""),
        sign_in=sign_in,
        **options,
    )
    if isinstance(error, AuthenticationError) and _is_about_the_caller(refusal):
        error.reason = ""  # no row is at fault
    return error


def _is_about_the_caller(refusal: Refusal) -> bool:
    return (
        is_page(refusal.body)
        or any(_NO_ACCESS_CODE.fullmatch(code) for code in refusal.codes)
        or _NO_ACCESS_TEXT.search(refusal.words) is not None
    )


def _has_no_money(refusal: Refusal) -> bool:
    if refusal.status == _PAYMENT_REQUIRED or refusal.codes & _INSUFFICIENT_QUOTA_CODES:
        return True
    return 400 <= refusal.status < 500 and NO_MONEY_TEXT.search(refusal.words) is not None


def _is_daily(refusal: Refusal) -> bool:
    ids = (str(violation.get("quotaId")) for violation in _violations(refusal.body))
    return _DAILY_TEXT in refusal.words or any(_DAILY_ID in name for name in ids)


def _violations(body: object) -> Iterator[Mapping[str, object]]:
    """Return the violations of a QuotaFailure.

    https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto
    """
    for detail in error_details(body):
        violations = detail.get("violations")
        for violation in violations if isinstance(violations, list) else []:
            if isinstance(violation, dict):
                yield violation


def _is_about_the_request(status: int, codes: set[str], text: str, body: object) -> bool:
    if not 400 <= status < 500:
        return False
    error = body.get("error") if isinstance(body, dict) else None
    metadata = error.get("metadata") if isinstance(error, dict) else None
    is_moderated = isinstance(metadata, dict) and {"reasons", "flagged_input"} & set(metadata)
    if is_moderated or status == _TOO_LARGE or codes & (MODERATED_CODES | TOO_LONG_CODES):
        return True
    patterns = {
        _BAD_REQUEST: (_MODERATED_TEXT, _TOO_LONG_TEXT),
        _UNREADABLE: (_MODERATED_TEXT, _TOO_LONG_TEXT),
        _FORBIDDEN: (_MODERATED_TEXT,),
        _ILLEGAL: (_MODERATED_TEXT,),
        _QUOTA: (_LARGER_THAN_THE_QUOTA,),
    }
    return any(pattern.search(text) for pattern in patterns.get(status, ()))
