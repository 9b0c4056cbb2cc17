"""What a provider of service LLMs is to this package."""

from typing import Protocol

from components.service_llm.settings import EmbedderSettings, ServiceLLMSettings
from components.service_llm.types import Reply, Request


class Provider(Protocol):
    """Sends one request at a time per call, without retries of its own."""

    async def send(self, request: Request) -> Reply:
        """The provider's reply.

        Raises:
            ServiceLLMError: Sending it again would not help.
            TransientError: It might.
        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


def open_provider(settings: ServiceLLMSettings) -> Provider:
    """The provider that settings name; its library is loaded here."""
    if isinstance(settings, EmbedderSettings):
        from components.service_llm.embedding_providers import GeminiEmbeddings, OpenAIEmbeddings

        gemini = settings.provider == "gemini"
        return GeminiEmbeddings(settings) if gemini else OpenAIEmbeddings(settings)
    if settings.provider == "gemini":
        from components.service_llm.gemini import Gemini

        return Gemini(settings)
    from components.service_llm.openai_compatible import OpenAICompatible

    return OpenAICompatible(settings)
