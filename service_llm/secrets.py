"""API keys, read when they are used: from the environment, or from Secret Manager."""

import os

from core.secret_manager import SecretError, read_secret
from service_llm.errors import AuthenticationError
from service_llm.settings import ServiceLLMSettings

_ANY_URL = "https://googleapis.com"  # where the provider has its own: any will do for a proxy


def api_key(settings: ServiceLLMSettings) -> str | None:
    """Return the key of a service LLM; None where it needs none.

    Raises:
        AuthenticationError: A key is configured and cannot be read.
        SecretOutageError: Secret Manager does not answer now.
    """
    if settings.api_key_env and (key := os.environ.get(settings.api_key_env, "").strip()):
        return _sendable(key, f"the environment variable {settings.api_key_env}")
    if settings.api_key_secret:
        try:
            return _sendable(read_secret(settings.api_key_secret), settings.api_key_secret)
        except SecretError as error:
            raise AuthenticationError(str(error)) from error
    if settings.api_key_env:
        raise AuthenticationError(
            f"{settings.api_key_env} is not set (the API key for {settings.model!r}). Run: export "
            f"{settings.api_key_env}=YOUR_KEY"
        )
    return None


def check_environment(settings: ServiceLLMSettings) -> None:
    """Find what cannot work before anything else is done; opens no connection.

    Raises:
        UserError: A variable that the settings name is missing, or the address, the key or the
            proxy cannot be used.
    """
    from service_llm.proxies import proxy_for

    proxy_for(settings.resolved_base_url() or _ANY_URL)
    if not settings.api_key_secret:
        api_key(settings)


def _sendable(key: str, source: str) -> str:
    """Return the key, if a header can hold it."""
    odd = [number for number, letter in enumerate(key, start=1) if not " " <= letter <= "~"]
    if odd:
        raise AuthenticationError(
            f"The API key in {source} contains at position {odd[0]} of {len(key)} a character "
            "that HTTP headers do not allow, such as a line break or a typographic quote. Copy it "
            "again."
        )
    return key
