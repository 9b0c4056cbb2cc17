"""Reads Google Cloud's Secret Manager, for keys and tokens that must not be in a configuration."""

import base64

from core.errors import UserError

_URL = "https://secretmanager.googleapis.com/v1"
_TIMEOUT_SECONDS = 30


class SecretError(UserError):
    """A secret cannot be read."""


def read_secret(name: str) -> str:
    """Return the value of a secret, without white space around it.

    Over REST, because one request does not justify another client library.

    Args:
        name: `projects/P/secrets/S/versions/V`.

    Raises:
        SecretError: There are no credentials, or they may not read it, or it does not exist.
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
        # The cause is left out: a traceback could show what was received.
        raise SecretError(
            f"The secret {name!r} cannot be read ({reason}). {_remedy(name, reason)}"
        ) from None


def _remedy(name: str, reason: str) -> str:
    secret = name.partition("/versions/")[0].rpartition("/")[2]
    if reason == "status 404":
        return f"Give it a value: gcloud secrets versions add {secret} --data-file=FILE"
    return (
        "Check its name, and let the account that reads it do so: "
        f"gcloud secrets add-iam-policy-binding {secret} --member=serviceAccount:ACCOUNT "
        "--role=roles/secretmanager.secretAccessor"
    )
