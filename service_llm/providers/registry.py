"""The interface of a provider, and the registry that opens one by its name."""

import importlib
from typing import Protocol

from service_llm.errors import ServiceLLMError
from service_llm.provider_table import EMBEDDERS, PROVIDERS
from service_llm.settings import EmbedderSettings, ServiceLLMSettings
from service_llm.types import Reply, Request


class Provider(Protocol):
    """Sends one request at a time per call, without retries of its own."""

    async def send(self, request: Request) -> Reply:
        """Return the provider's reply.

        Raises:
            ServiceLLMError: Sending it again would not help.
            TransientError: It might.
        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


def open_provider(settings: ServiceLLMSettings) -> Provider:
    """Open the provider that settings name; its library is loaded here.

    Raises:
        ServiceLLMError: No entry of the registry has that name.
    """
    table = EMBEDDERS if isinstance(settings, EmbedderSettings) else PROVIDERS
    path = table.get(settings.provider)
    if path is None:
        raise ServiceLLMError(
            f"The provider {settings.provider!r} is unknown. Choose one of {', '.join(table)}."
        )
    module, _, name = path.partition(":")
    provider: Provider = getattr(importlib.import_module(module), name)(settings)
    return provider
