"""Turns what the hub's client raises into an error that says what to do."""

import re
from collections.abc import Iterator

import httpx2
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from components.hf_pusher.errors import (
    CardError,
    ConflictError,
    NameTakenError,
    PermissionDeniedError,
    PlanError,
    PushError,
    QuotaError,
    TokenError,
    TooLargeError,
    UnreachableError,
)
from core.reports.loop import RepoKind
from core.secret_text import without

_RETRY_SUFFIX = "Run again to complete the push: what has arrived is not sent twice."
_QUOTA_WORDS = re.compile(r"quota|storage|billing|payment|subscri|upgrade", re.IGNORECASE)
_SIZE_WORDS = re.compile(r"too large|size limit|exceeds|maximum.{0,20}size", re.IGNORECASE)
_CONFLICT = (
    ConflictError,
    "Someone else committed to the repository at the same time. Look at that commit; a new run "
    "replaces it with this round's content.",
)
_BY_STATUS: dict[int, tuple[type[PushError], str]] = {
    402: (
        PlanError,
        "The account's storage or plan is used up. Delete what is no longer needed, upgrade the "
        "plan, or push to another owner with push.owner=OWNER. {again}",
    ),
    403: (
        PermissionDeniedError,
        "The token may not write to {subject}. Give it write access to this owner on the settings "
        "page of the Hub's tokens, or choose an owner it may write to with push.owner=OWNER.",
    ),
    404: (
        PermissionDeniedError,
        "The Hub does not know {subject}, or hides it from this token. Check push.owner and "
        "push.name, and that the token may read and write the owner's private repositories.",
    ),
    409: _CONFLICT,
    412: _CONFLICT,
    413: (
        TooLargeError,
        "The Hub refuses a file or commit of this size. Push less (push.push_dataset=false), or "
        "ask for a higher limit for the account. {again}",
    ),
    429: (QuotaError, "The Hub limits the rate of requests. Wait some minutes. {again}"),
    503: (UnreachableError, "The Hub is out of order. Try later. {again}"),
}
# How the client and the Hub begin a refusal of the metadata in a README.md.
_CARD_WORDS = re.compile(r"invalid metadata in readme\.md|yaml metadata", re.IGNORECASE)
# The settings that the fields of the cards are made of.
_CARD_SETTINGS = {
    "license": "push.license",
    "license_name": "push.license_name",
    "license_link": "push.license_link",
    "base_model": "push.base_model",
    "language": "push.languages",
    "datasets": "push.owner and push.name",
    "model_name": "push.name",
    "title": "task.name",
}
_DATASET_CARD_SETTINGS = _CARD_SETTINGS | {
    "license": "push.dataset_license",
    "license_name": "push.dataset_license_name",
    "license_link": "push.dataset_license_link",
}
_QUOTED = re.compile(r"""["'`]([^"'`]+)["'`]""")
# Xet's client raises ConnectionError for answers too; its text alone tells the status.
_XET_STATUS = re.compile(r"HTTP status \w+ error \((\d{3})")
_MAX_DETAIL = 300  # characters of the server's message
_MARK = "[token]"  # in the token's place


def explain(
    error: Exception, subject: str, endpoint: str, token: str, kind: RepoKind | None = None
) -> PushError:
    """Make the error to show to a person.

    Args:
        error: What the client raised.
        subject: What was being written, for example "the model repository 'me/triage'".
        endpoint: URL of the Hub.
        token: Removed from the message, should a server repeat it.
        kind: What was being written; None where it is no repository.
    """
    # The client wraps a failed upload of a large file; the HTTP error is the cause.
    cause, where = error, ""
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception):
        cause, where = error.__cause__, f"{error} "
    error_type: type[PushError]
    if _CARD_WORDS.search(_message(cause)):
        error_type, advice = CardError, _card_advice(_message(cause), subject, kind)
    elif isinstance(cause, HfHubHTTPError):
        hidden = isinstance(cause, RepositoryNotFoundError)
        message = cause.server_message or ""
        error_type, advice = _answered(cause.response.status_code, message, subject, hidden=hidden)
    elif isinstance(cause, ConnectionError) and (answer := _XET_STATUS.search(str(cause))):
        error_type, advice = _answered(int(answer[1]), "", subject)
    else:
        error_type, advice = _other(cause, endpoint)
    detail = _detail(cause, token)
    text = f"Pushing {subject} to {endpoint} failed. {where}{advice} ({detail})"
    return error_type(without(token, text, mark=_MARK))


def _answered(
    status: int, message: str, subject: str, *, hidden: bool = False
) -> tuple[type[PushError], str]:
    if status == 401:
        return _unauthorized(hidden=hidden)
    if status == 403 and _QUOTA_WORDS.search(message):
        status = 402
    elif status >= 500 or status == 408:
        status = 503
    elif status == 400 and _SIZE_WORDS.search(message):
        status = 413
    unknown = PushError, "The Hub refused the request; its message follows."
    kind, advice = _BY_STATUS.get(status, unknown)
    return kind, advice.format(subject=subject, again=_RETRY_SUFFIX)


def _unauthorized(*, hidden: bool) -> tuple[type[PushError], str]:
    # For a repository that the token may not see, the Hub answers 401 as well.
    also = " and may read and write this owner's repositories" if hidden else ""
    return TokenError, (
        f"The Hub does not accept the token: it is misspelled, expired or revoked. Check that it "
        f"is valid{also}, or make a new one with the role `write` on the settings page of the "
        "Hub's tokens, and set it in the variable that push.token_env names (or run "
        "`hf auth login`)."
    )


def _other(error: Exception, endpoint: str) -> tuple[type[PushError], str]:
    if isinstance(error, OfflineModeIsEnabled):
        return PushError, (
            "The client is offline by HF_HUB_OFFLINE. Unset it, or push to a folder with "
            "push.destination=local."
        )
    if isinstance(error, httpx2.TransportError | ConnectionError | TimeoutError):
        return UnreachableError, (
            f"No connection to {endpoint}. Check the network, the proxy variables and "
            f"push.endpoint, or push to a folder with push.destination=local. {_RETRY_SUFFIX}"
        )
    if isinstance(error, HFValidationError):
        return NameTakenError, (
            "The Hub does not allow this name. Choose another one with push.name=NAME or "
            "push.owner=OWNER."
        )
    if isinstance(error, ValueError) and _SIZE_WORDS.search(str(error)):
        return TooLargeError, "The Hub refuses a file of this size; its message follows."
    return PushError, f"The upload ended with an unexpected error. {_RETRY_SUFFIX}"


def _card_advice(message: str, subject: str, kind: RepoKind | None) -> str:
    """Name the fields of the card that the Hub refuses, and the settings that they come from."""
    refused = list(dict.fromkeys(_fields(message)))
    fields = ", ".join(f"`{field}`" for field in refused) or "one that its message names"
    known = _DATASET_CARD_SETTINGS if kind == "dataset" else _CARD_SETTINGS
    settings = ", ".join(known[field] for field in refused if field in known)
    advice = f"Correct {settings} and run" if settings else "No setting makes it: see below. Run"
    return (
        f"The Hub refuses a field of the card's metadata in {subject}: {fields}. {advice} again; "
        "nothing was committed to this repository."
    )


def _fields(message: str) -> Iterator[str]:
    """Yield the fields that a refusal names, one on each of its lines."""
    for line in message.splitlines():
        # The Hub quotes the path of a field first: "license" must be one of [...].
        if quoted := _QUOTED.search(line):
            yield re.split(r"[.\[]", quoted[1])[0]


def _message(error: Exception) -> str:
    return str(getattr(error, "server_message", None) or error)


def _detail(error: Exception, token: str) -> str:
    # A token that the cut goes through would not be found after it.
    line = without(token, " ".join(_message(error).split()), mark=_MARK)
    return f"{type(error).__name__}: {line[:_MAX_DETAIL]}"
