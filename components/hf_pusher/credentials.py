"""Finds the Hub's token in the environment, in Secret Manager or in the hub's own login."""

import base64
import os

from components.hf_pusher.errors import TokenError
from components.hf_pusher.settings import PushSettings

_SECRET_MANAGER_URL = "https://secretmanager.googleapis.com/v1"
_TIMEOUT_SECONDS = 30


def has_token(settings: PushSettings) -> bool:
    """Whether `find_token` would look for a token in a place that has one; no network."""
    if os.environ.get(settings.token_env) or settings.token_secret:
        return True
    return _login() is not None


def find_token(settings: PushSettings) -> str | None:
    """The token, or None where there is none.

    Raises:
        TokenError: Secret Manager was named and does not give the token.
    """
    if token := os.environ.get(settings.token_env, "").strip():
        return token
    if settings.token_secret:
        return _secret(settings.token_secret)
    return _login()


def _login() -> str | None:
    from huggingface_hub import get_token

    return get_token()


def _secret(name: str) -> str:
    # Over REST, because one request does not justify another client library.
    import google.auth
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import AuthorizedSession
    from requests import RequestException

    try:
        credentials, _ = google.auth.default(
            scopes=["https://www.googleapis.com/auth/cloud-platform"]
        )
        response = AuthorizedSession(credentials).get(  # type: ignore[no-untyped-call]
            f"{_SECRET_MANAGER_URL}/{name}:access", timeout=_TIMEOUT_SECONDS
        )
        response.raise_for_status()
        return base64.b64decode(response.json()["payload"]["data"]).decode().strip()
    except (GoogleAuthError, RequestException, KeyError, ValueError) as error:
        raise TokenError(
            f"The Hub's token could not be read from the secret {name!r} "
            f"({type(error).__name__}). Check the name in push.token_secret, and that the account "
            "of this run has the role Secret Manager Secret Accessor."
        ) from None
