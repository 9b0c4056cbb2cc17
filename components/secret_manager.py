"""Reads Google Cloud's Secret Manager, for keys and tokens that must not be in a configuration."""

import base64

from components.errors import UserError

_URL = "https://secretmanager.googleapis.com/v1"
_TIMEOUT_SECONDS = 30


class SecretError(UserError):
    """A secret cannot be read."""


def read_secret(name: str) -> str:
    """The content of a version of a secret, without blanks around it.

    Args:
        name: `projects/P/secrets/S/versions/V`.

    Raises:
        SecretError: There are no credentials, or they may not read it, or it does not exist.
    """
    # Over REST, because one request does not justify another client library.
    import google.auth
    from google.auth.transport.requests import AuthorizedSession

    try:
        credentials, _ = google.auth.default(
            scopes=["https://www.googleapis.com/auth/cloud-platform"]
        )
        session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
        response = session.get(f"{_URL}/{name}:access", timeout=_TIMEOUT_SECONDS)
        response.raise_for_status()
        return base64.b64decode(response.json()["payload"]["data"]).decode().strip()
    # Credentials, network and permissions fail with errors of three libraries.
    except Exception as error:
        raise SecretError(
            f"The secret {name!r} cannot be read ({type(error).__name__}: {error}). Grant the "
            "account roles/secretmanager.secretAccessor on it, and check its name."
        ) from error
