"""Finds the Hub's token in the environment, in Secret Manager or in the hub's own login."""

import os

from components.hf_pusher.errors import TokenError
from components.hf_pusher.settings import PushSettings
from components.secret_manager import SecretError, read_secret


def has_token(settings: PushSettings) -> bool:
    """Whether `find_token` would look for a token in a place that has one; no network."""
    return bool(_variable(settings) or settings.token_secret or _login())


def check_token(settings: PushSettings) -> None:
    """Find a missing token before anything else is done; opens no connection.

    Raises:
        TokenError: The Hub is wanted, and no place that the settings name has a token.
    """
    if settings.destination == "hub" and not has_token(settings):
        raise missing_token(settings)


def missing_token(settings: PushSettings) -> TokenError:
    """The error of a push that needs a token and has none."""
    return TokenError(
        "There is no token for the Hugging Face Hub. Set the environment variable "
        f"{settings.token_env}, name a secret in push.token_secret, or run `hf auth login`. "
        "Without a token only a run on this machine can push: to a folder, with "
        "push.destination=local."
    )


def find_token(settings: PushSettings) -> str | None:
    """The token, or None where there is none.

    Raises:
        TokenError: Secret Manager was named and does not give the token.
    """
    if token := _variable(settings):
        return token
    if not settings.token_secret:
        return _login()
    try:
        return read_secret(settings.token_secret)
    except SecretError as error:
        raise TokenError(f"push.token_secret: {error}") from error


def _variable(settings: PushSettings) -> str:
    return os.environ.get(settings.token_env, "").strip()


def _login() -> str | None:
    from huggingface_hub import get_token

    return get_token()
