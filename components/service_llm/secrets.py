"""API keys, read when they are used: from the environment, or from Secret Manager."""

import base64
import os

from components.service_llm.errors import AuthenticationError
from components.service_llm.settings import ServiceLLMSettings

_SECRET_MANAGER = "https://secretmanager.googleapis.com/v1"


def api_key(settings: ServiceLLMSettings) -> str | None:
    """The key of a service LLM; None where it needs none.

    Raises:
        AuthenticationError: A key is configured and cannot be read.
    """
    if settings.api_key_env and (key := os.environ.get(settings.api_key_env, "").strip()):
        return key
    if settings.api_key_secret:
        return _read_secret(settings.api_key_secret)
    if settings.api_key_env:
        raise AuthenticationError(
            f"The API key for {settings.model!r} is to be read from the environment variable "
            f"{settings.api_key_env}, which is not set. Export {settings.api_key_env}=YOUR_KEY."
        )
    return None


def check_environment(settings: ServiceLLMSettings) -> None:
    """Find a variable that is not set before anything else is done; opens no connection.

    Raises:
        UserError: A variable that the settings name is missing.
    """
    settings.resolved_base_url()
    if not settings.api_key_secret:
        api_key(settings)


def without(secret: str | None, text: str) -> str:
    """A text that may quote a secret, as some servers' error messages do, without it."""
    return text.replace(secret, "[key]") if secret else text


def _read_secret(name: str) -> str:
    import google.auth
    from google.auth.transport.requests import AuthorizedSession

    try:
        credentials, _ = google.auth.default(
            scopes=["https://www.googleapis.com/auth/cloud-platform"]
        )
        session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
        response = session.get(f"{_SECRET_MANAGER}/{name}:access", timeout=30)
        response.raise_for_status()
        return base64.b64decode(response.json()["payload"]["data"]).decode().strip()
    # Credentials, network and permissions fail with errors of three libraries.
    except Exception as error:
        raise AuthenticationError(
            f"The secret {name!r} cannot be read ({type(error).__name__}: {error}). Grant the "
            "account roles/secretmanager.secretAccessor on it, and check its name."
        ) from error
