"""Reads Google Cloud's Secret Manager, for keys and tokens that must not be in a configuration."""

import base64

from core.errors import OutageError, UserError

_URL = "https://secretmanager.googleapis.com/v1"
_TIMEOUT_SECONDS = 30
_PASSING = (408, 429)


class SecretError(UserError):
    """A secret cannot be read."""


class SecretOutageError(OutageError):
    """Secret Manager does not answer now."""


def read_secret(name: str) -> str:
    """Return the value of a secret, without white space around it.

    Over REST, because one request does not justify another client library.

    Args:
        name: `projects/P/secrets/S/versions/V`.

    Raises:
        SecretError: There are no credentials, or they may not read it, or it does not exist.
        SecretOutageError: Secret Manager, or the sign-in, does not answer now.
    """
    import google.auth
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import AuthorizedSession
    from requests import RequestException

    try:
        credentials, _ = google.auth.default(
            scopes=["https://www.googleapis.com/auth/cloud-platform"]
        )
        session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
        response = session.get(f"{_URL}/{name}:access", timeout=_TIMEOUT_SECONDS)
        response.raise_for_status()
        return base64.b64decode(response.json()["payload"]["data"]).decode().strip()
    except (GoogleAuthError, RequestException, KeyError, ValueError) as error:
        refusal = getattr(error, "response", None)
        reason = type(error).__name__ if refusal is None else f"status {refusal.status_code}"
        status = None if refusal is None else refusal.status_code
        is_away = any(_is_away(each) for each in (error, error.__cause__, *error.args))
        # The cause is left out: a traceback could show what was received.
        if is_away or status in _PASSING or (status or 0) >= 500:
            raise SecretOutageError(
                f"The secret {name!r} could not be read ({reason}). Check the network, and run "
                "the same command again."
            ) from None
        raise SecretError(
            f"The secret {name!r} cannot be read ({reason}). {_remedy(name, reason)}"
        ) from None


def _is_away(error: object) -> bool:
    """Whether nothing was answered; google-auth packs what it met into an error of its own."""
    from google.auth.exceptions import TransportError
    from requests import ConnectionError as NoConnectionError
    from requests import Timeout
    from requests.exceptions import ChunkedEncodingError

    away = (NoConnectionError, Timeout, TransportError, ChunkedEncodingError)
    return isinstance(error, away) or getattr(error, "retryable", False) is True


def _remedy(name: str, reason: str) -> str:
    secret = name.partition("/versions/")[0].rpartition("/")[2]
    if reason == "status 404":
        return f"Give it a value: gcloud secrets versions add {secret} --data-file=FILE"
    return (
        "Check its name, and let the account that reads it do so: "
        f"gcloud secrets add-iam-policy-binding {secret} --member=serviceAccount:ACCOUNT "
        "--role=roles/secretmanager.secretAccessor"
    )
