"""Find the Hub's token in the environment, in Secret Manager or in the hub's own login.

A stored login counts only where `push.destination` is `hub`: having signed in once is no wish to
upload coverage prompts.
"""

import os

from components.hf_pusher.errors import TokenError
from components.hf_pusher.settings import PushSettings
from core.secret_manager import SecretError, read_secret


def has_token(settings: PushSettings) -> bool:
    """Return whether any place that `find_token` reads has a token; no network."""
    return bool(_variable(settings) or settings.token_secret or _login(settings))


def check_token(settings: PushSettings) -> None:
    """Find a missing token before anything else is done; opens no connection.

    Raises:
        TokenError: The Hub is wanted, and no place that the settings name has a token.
    """
    if settings.destination == "hub" and not has_token(settings):
        raise missing_token(settings)


def describe_push(settings: PushSettings, name: str, *, logged: int = 0) -> str:
    """Say where a push would go and what it would hold; no network.

    Args:
        settings: The settings of the push.
        name: Of the repositories.
        logged: Logged exchanges that become training rows.
    """
    has_dataset = settings.pushes_dataset(has_logged=bool(logged))
    dataset = "the dataset with its logged exchanges" if logged else "the synthetic dataset"
    optional = {dataset: has_dataset, "a Space": settings.push_space}
    parts = ["model", *(part for part, pushed in optional.items() if pushed)]
    what = f"{', '.join(parts)}, with an evaluation that quotes coverage prompts"
    if logged and settings.push_dataset is None:
        what += "; not the dataset, which holds logged exchanges: push.push_dataset=true adds it"
    if settings.destination == "local" or not has_token(settings):
        return f"Push: to the folder {settings.local_hub_dir!r}, nothing is uploaded ({what})."
    visibility = "private" if settings.private else "PUBLIC"
    warning = (
        f" Warning: up to {logged:,} logged exchanges of real users are uploaded with the dataset;"
        " push.push_dataset=false keeps them here."
    )
    return (
        f"Push: to {settings.endpoint or 'the Hugging Face Hub'} as "
        f"{settings.owner or 'the owner of the token'}/{name}, {visibility} where it is new "
        f"({what}). push.destination=local keeps it on this machine."
        f"{warning if logged and has_dataset else ''}"
    )


def missing_token(settings: PushSettings) -> TokenError:
    """Make the error of a push that needs a token and has none."""
    return TokenError(
        "There is no token for the Hugging Face Hub. Set the environment variable "
        f"{settings.token_env}, name a secret in push.token_secret, or run `hf auth login`. "
        "Without a token only a run on this machine can push: to a folder, with "
        "push.destination=local."
    )


def find_token(settings: PushSettings) -> str | None:
    """Return the token, or None where there is none.

    Raises:
        TokenError: Secret Manager was named and does not give the token.
        SecretOutageError: It does not answer now.
    """
    if token := _variable(settings):
        return token
    if not settings.token_secret:
        return _login(settings)
    try:
        return read_secret(settings.token_secret)
    except SecretError as error:
        raise TokenError(f"push.token_secret: {error}") from error


def _variable(settings: PushSettings) -> str:
    return os.environ.get(settings.token_env, "").strip()


def _login(settings: PushSettings) -> str | None:
    if settings.destination != "hub":
        return None
    from huggingface_hub import get_token

    return get_token()
