"""API keys, read when they are used: from the environment, or from Secret Manager."""

import os

from components.secret_manager import SecretError, read_secret
from components.service_llm.errors import AuthenticationError
from components.service_llm.settings import ServiceLLMSettings


def api_key(settings: ServiceLLMSettings) -> str | None:
    """The key of a service LLM; None where it needs none.

    Raises:
        AuthenticationError: A key is configured and cannot be read.
    """
    if settings.api_key_env and (key := os.environ.get(settings.api_key_env, "").strip()):
        return key
    if settings.api_key_secret:
        try:
            return read_secret(settings.api_key_secret)
        except SecretError as error:
            raise AuthenticationError(str(error)) from error
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
