"""Gemini's and OpenAI's embeddings: a request's prompt is the text, its reply the vector.

A request holds one text, as Vertex AI wants it, so each text is paced, retried and journaled by
itself.
"""

from collections.abc import Sequence

import openai
from google.genai import types as genai_types

from components.service_llm.embedding import Embedding
from components.service_llm.gemini import GeminiClient
from components.service_llm.openai_compatible import OpenAIClient
from components.service_llm.settings import EmbedderSettings
from components.service_llm.types import CHARACTERS_PER_TOKEN, Finish, Reply, Request

# https://ai.google.dev/gemini-api/docs/embeddings: of text models only; later ones take no type.
_TASK_TYPE = "SEMANTIC_SIMILARITY"
_WITH_TASK_TYPE = ("gemini-embedding-001", "text-embedding-004", "text-embedding-005")


class GeminiEmbeddings:
    """The embeddings of Google AI Studio, of Vertex AI, or of a server that speaks their API."""

    def __init__(self, settings: EmbedderSettings) -> None:
        self._model = settings.model
        self._config = genai_types.EmbedContentConfig(
            task_type=_TASK_TYPE if settings.model.endswith(_WITH_TASK_TYPE) else None,
            output_dimensionality=settings.dimensions,
        )
        self._client = GeminiClient(settings)

    async def send(self, request: Request) -> Reply:
        """The text's vector; see `Provider`."""
        with self._client.translated_errors():
            response = await self._client.api.aio.models.embed_content(
                model=self._model, contents=request.prompt, config=self._config
            )
            (embedding,) = response.embeddings or [genai_types.ContentEmbedding()]
            counted = embedding.statistics and embedding.statistics.token_count
            # AI Studio does not say how many tokens it counted.
            tokens = int(counted or -(-len(request.prompt) // CHARACTERS_PER_TOKEN))
            return _reply(embedding.values or (), tokens, self._model)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.api.aio.aclose()


class OpenAIEmbeddings:
    """An endpoint with `/embeddings`."""

    def __init__(self, settings: EmbedderSettings) -> None:
        self._settings = settings
        self._client = OpenAIClient(settings)

    async def send(self, request: Request) -> Reply:
        """The text's vector; see `Provider`."""
        model, dimensions = self._settings.model, self._settings.dimensions
        with self._client.translated_errors():
            response = await self._client.api.embeddings.create(
                model=model,
                input=[request.prompt],
                encoding_format="float",
                # Many servers refuse a parameter that they do not know.
                dimensions=dimensions or openai.omit,
            )
            vector = response.data[0].embedding if response.data else ()
            tokens = response.usage.prompt_tokens if response.usage else 0
            return _reply(vector, tokens, response.model or model)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.api.close()


def _reply(vector: Sequence[float], tokens: int, model: str) -> Reply:
    finish = Finish.STOP if len(vector) else Finish.REFUSED
    text = Embedding.of(vector).model_dump_json() if len(vector) else ""
    return Reply(text, finish, tokens, 0, model)
