"""Gemini's and OpenAI's embeddings: a request's prompt is the text, its reply the vector.

A request holds one text, as Vertex AI wants it, so each text is paced, retried and journaled by
itself.
"""

import contextlib
import contextvars
import dataclasses
from collections.abc import Sequence
from typing import Any

import openai
import pydantic
from google.genai import types as genai_types

from service_llm.errors import TransientError
from service_llm.providers.bodies import with_words_of
from service_llm.providers.gemini import GeminiClient
from service_llm.providers.openai_compatible import OpenAIClient
from service_llm.providers.replies import openai_tokens
from service_llm.settings import EmbedderSettings
from service_llm.types import Finish, Reply, Request
from service_llm.vector import Embedding

# https://ai.google.dev/gemini-api/docs/embeddings: of text models only; later ones take no type.
_TASK_TYPE = "SEMANTIC_SIMILARITY"
_WITH_TASK_TYPE = ("gemini-embedding-001", "text-embedding-004", "text-embedding-005")
# The response to the call of the current task.
_BODY: contextvars.ContextVar[object] = contextvars.ContextVar("body", default=None)


class GeminiEmbeddings:
    """The embeddings of Google AI Studio, of Vertex AI, or of a server that speaks their API."""

    def __init__(self, settings: EmbedderSettings) -> None:
        self._model = settings.model
        self._config = genai_types.EmbedContentConfig(
            task_type=_TASK_TYPE if settings.model.endswith(_WITH_TASK_TYPE) else None,
            output_dimensionality=settings.dimensions,
        )
        self._client = GeminiClient(settings)
        self._client.read_every_response(_BODY.set)

    async def send(self, request: Request) -> Reply:
        """Return the text's vector; see `Provider`."""
        _BODY.set(None)
        # What google-genai makes of an odd count must not cost a vector that was paid for.
        with self._client.translated_errors(), contextlib.suppress(pydantic.ValidationError):
            await self._client.api.aio.models.embed_content(
                model=self._model, contents=request.prompt, config=self._config
            )
        try:
            return read_gemini_embedding(_BODY.get(), self._model)
        except TransientError as error:
            raise with_words_of(_BODY.get(), error, self._client.shown) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class OpenAIEmbeddings:
    """An endpoint with `/embeddings`."""

    def __init__(self, settings: EmbedderSettings) -> None:
        self._settings = settings
        self._client = OpenAIClient(settings, "/embeddings")

    async def send(self, request: Request) -> Reply:
        """Return the text's vector; see `Provider`."""
        model, dimensions = self._settings.model, self._settings.dimensions
        with self._client.translated_errors():
            response = await self._client.api.embeddings.with_raw_response.create(
                model=model,
                input=[request.prompt],
                encoding_format="float",
                # Many servers refuse a parameter that they do not know.
                dimensions=dimensions or openai.omit,
            )
            body = self._client.body_of(response)
        try:
            return read_openai_embedding(body, model)
        except TransientError as error:
            raise with_words_of(body, error, self._client.shown) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _reply(vector: Sequence[float], tokens: int, model: str) -> Reply:
    finish = Finish.STOP if len(vector) else Finish.REFUSED
    text = Embedding.of(vector).model_dump_json() if len(vector) else ""
    return Reply(text, finish, tokens, 0, model)


def read_gemini_embedding(body: Any, model: str) -> Reply:
    """Return the vector in a response of `batchEmbedContents`, or of Vertex AI.

    Raises:
        TransientError: The body is none.
    """
    try:
        usage = body.get("usageMetadata")
        count = usage.get("promptTokenCount") if isinstance(usage, dict) else None
        if "predictions" in body:
            found = body["predictions"][0]["embeddings"] if body["predictions"] else {}
            statistics = found.get("statistics")
            count = statistics.get("token_count") if isinstance(statistics, dict) else None
        elif "embedding" in body:
            found = body["embedding"] or {}
        else:
            found = body["embeddings"][0] if body["embeddings"] else {}
        vector = [float(number) for number in found.get("values") or ()]
        if isinstance(count, float) and count.is_integer():
            count = int(count)  # of a message whose numbers have no types
        tokens = openai_tokens({"prompt_tokens": count}, has_output=False)
        reply = _reply(vector, tokens.prompt, model)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise TransientError(f"{model} sent a reply that does not match the Gemini API.") from error
    return dataclasses.replace(reply, usage_known=tokens.is_known)


def read_openai_embedding(body: Any, model: str) -> Reply:
    """Return the vector in a response of `/embeddings`.

    Raises:
        TransientError: The body is none.
    """
    try:
        vector = [float(number) for number in body["data"][0]["embedding"]] if body["data"] else []
        tokens = openai_tokens(body.get("usage"), has_output=False)
        reply = _reply(vector, tokens.prompt, str(body.get("model") or model))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise TransientError(f"{model} sent a reply that does not match the OpenAI API.") from error
    return dataclasses.replace(reply, usage_known=tokens.is_known)
