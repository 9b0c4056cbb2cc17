"""Gemini through google-genai: Google AI Studio by key, Vertex AI by default credentials."""

import contextlib
from collections.abc import Iterator
from typing import Any

import google.auth.exceptions
import httpx
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types

from components.service_llm.errors import (
    KEPT,
    AuthenticationError,
    ServiceLLMError,
    TransientError,
    error_of_status,
)
from components.service_llm.secrets import api_key, without
from components.service_llm.settings import ServiceLLMSettings
from components.service_llm.transport import PooledTransport
from components.service_llm.types import Finish, Reply, Request
from components.service_llm.waits import retry_after, retry_info

_NO_KEY = "none"  # the client insists on a key; a local server ignores it
_UNAUTHENTICATED = 401  # Google AI Studio answers 400 to a wrong key
_REFUSALS = {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"}


class GeminiClient:
    """The client of google-genai with settings of this package.

    Raises:
        AuthenticationError: The key or the default credentials cannot be read.
    """

    def __init__(self, settings: ServiceLLMSettings) -> None:
        self._settings = settings
        self._key = None if settings.vertex_project else api_key(settings)
        self.api = self._open()

    def config(self, request: Request) -> genai_types.GenerateContentConfig:
        """A request's parameters, with its schema as structured output."""
        return genai_types.GenerateContentConfig(
            system_instruction=request.system or None,
            temperature=request.temperature,
            max_output_tokens=self._settings.most_output_tokens(request.max_output_tokens),
            seed=request.index,
            response_mime_type="application/json",
            response_schema=request.schema,
            thinking_config=_thinking(self._settings.thinking),
        )

    @contextlib.contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Errors of the client inside come out as errors of this package."""
        model = self._settings.model
        try:
            yield
        except genai_errors.APIError as error:
            message = without(self._key, f"{model}: {error.code} {error.status}: {error.message}")
            raise _translated(error, message) from None  # its text may hold the key
        except google.auth.exceptions.GoogleAuthError as error:
            if error.retryable or isinstance(error, google.auth.exceptions.TransportError):
                message = f"Google's sign-in did not answer ({error})."
                raise TransientError(message, is_unreachable=True) from error
            raise _no_credentials(error) from error
        except httpx.TimeoutException as error:
            raise TransientError(f"{model} did not answer in time.", is_unreachable=True) from error
        except (httpx.HTTPError, OSError) as error:
            raise TransientError(
                f"{model} cannot be reached ({type(error).__name__}: {error}).",
                is_unreachable=True,
            ) from error
        # What the client makes of a body that is no response of this API.
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
            raise TransientError(
                f"{model} sent a reply that is none of the Gemini API ({type(error).__name__})."
            ) from error

    def _open(self) -> genai.Client:
        settings = self._settings
        options = genai_types.HttpOptions(
            base_url=settings.resolved_base_url(),
            timeout=int(settings.timeout_seconds * 1000),
            # The client's own retries would take no permit of the limiter.
            retry_options=genai_types.HttpRetryOptions(attempts=1),
            client_args={"follow_redirects": False},
            # A transport, or aiohttp would be taken where it happens to be installed.
            async_client_args={
                "transport": PooledTransport(settings.max_concurrency),
                "follow_redirects": False,
            },
        )
        if not settings.vertex_project:
            key = self._key or _NO_KEY
            return genai.Client(vertexai=False, api_key=key, http_options=options)
        try:
            return genai.Client(
                vertexai=True,
                project=settings.vertex_project,
                location=settings.vertex_location,
                http_options=options,
            )
        except google.auth.exceptions.GoogleAuthError as error:
            raise _no_credentials(error) from error


class Gemini:
    """The Gemini API of Google AI Studio, of Vertex AI, or of a server that speaks it."""

    def __init__(self, settings: ServiceLLMSettings) -> None:
        self._model = settings.model
        self._client = GeminiClient(settings)

    async def send(self, request: Request) -> Reply:
        """The model's reply; see `Provider`."""
        config = self._client.config(request)
        with self._client.translated_errors():
            response = await self._client.api.aio.models.generate_content(
                model=self._model, contents=request.prompt, config=config
            )
            return read_reply(response)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.api.aio.aclose()


def read_reply(response: Any) -> Reply:
    """What a response of the API says, with the tokens that it counted."""
    usage = response.usage_metadata
    prompt_tokens = (usage and usage.prompt_token_count) or 0
    output_tokens = ((usage and usage.candidates_token_count) or 0) + (
        (usage and usage.thoughts_token_count) or 0
    )
    candidate = response.candidates[0] if response.candidates else None
    reason = candidate.finish_reason.name if candidate and candidate.finish_reason else "STOP"
    blocked = response.prompt_feedback and response.prompt_feedback.block_reason
    if reason in _REFUSALS or (candidate is None and blocked):
        finish = Finish.REFUSED
    else:
        finish = Finish.LENGTH if reason == "MAX_TOKENS" else Finish.STOP
    parts = (candidate.content.parts or []) if candidate and candidate.content else []
    text = "".join(part.text or "" for part in parts if not part.thought)
    return Reply(text, finish, prompt_tokens, output_tokens, response.model_version or "")


def _thinking(thinking: int | str | None) -> genai_types.ThinkingConfig | None:
    if thinking is None:
        return None
    if isinstance(thinking, int):
        return genai_types.ThinkingConfig(thinking_budget=thinking)
    return genai_types.ThinkingConfig(thinking_level=genai_types.ThinkingLevel(thinking.upper()))


def _no_credentials(error: Exception) -> AuthenticationError:
    return AuthenticationError(
        f"Google Cloud's default credentials cannot be used ({error}). Run: gcloud auth "
        f"application-default login, or give the machine a service account. {KEPT}"
    )


def _translated(error: genai_errors.APIError, message: str) -> ServiceLLMError | TransientError:
    headers = getattr(error.response, "headers", None) or {}
    asked = retry_info(error.details)
    return error_of_status(
        _UNAUTHENTICATED if "API key not valid" in message else error.code,
        message,
        wait_seconds=retry_after(headers) if asked is None else asked,
        location=headers.get("Location", ""),
        sign_in=(
            "Check the API key or the credentials (gcloud auth application-default login), and "
            "that the API is enabled for the project."
        ),
    )
