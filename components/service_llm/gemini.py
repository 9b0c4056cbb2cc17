"""Gemini through google-genai: Google AI Studio by key, Vertex AI by default credentials."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import google.auth.exceptions
import httpx
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types

from components.service_llm.errors import (
    AuthenticationError,
    BadRequestError,
    ServiceLLMError,
    TransientError,
)
from components.service_llm.secrets import api_key
from components.service_llm.settings import ServiceLLMSettings
from components.service_llm.transport import PooledTransport
from components.service_llm.types import Finish, Reply, Request

_NO_KEY = "none"  # the client insists on a key; a local server ignores it
_QUOTA, _UNAUTHENTICATED, _FORBIDDEN = 429, 401, 403
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)s$")
_REFUSALS = {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"}


class Gemini:
    """The Gemini API of Google AI Studio, of Vertex AI, or of a server that speaks it."""

    def __init__(self, settings: ServiceLLMSettings) -> None:
        self._model = settings.model
        self._client = open_client(settings)

    async def send(self, request: Request) -> Reply:
        """The model's reply; see `Provider`."""
        with translated_errors(self._model):
            response = await self._client.aio.models.generate_content(
                model=self._model, contents=request.prompt, config=generation_config(request)
            )
        return read_reply(response)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aio.aclose()


def open_client(settings: ServiceLLMSettings) -> genai.Client:
    """The client of google-genai, without retries of its own.

    Raises:
        AuthenticationError: The key or the default credentials cannot be read.
    """
    options = genai_types.HttpOptions(
        base_url=settings.resolved_base_url(),
        timeout=int(settings.timeout_seconds * 1000),
        # The client's own retries would take no permit of the limiter.
        retry_options=genai_types.HttpRetryOptions(attempts=1),
        # Named, or aiohttp would be taken where it happens to be installed.
        async_client_args={"transport": PooledTransport(settings.max_concurrency)},
    )
    if not settings.vertex_project:
        return genai.Client(
            vertexai=False, api_key=api_key(settings) or _NO_KEY, http_options=options
        )
    try:
        return genai.Client(
            vertexai=True,
            project=settings.vertex_project,
            location=settings.vertex_location,
            http_options=options,
        )
    except google.auth.exceptions.GoogleAuthError as error:
        raise _no_credentials(error) from error


def generation_config(request: Request) -> genai_types.GenerateContentConfig:
    """A request's parameters, with its schema as structured output."""
    return genai_types.GenerateContentConfig(
        system_instruction=request.system or None,
        temperature=request.temperature,
        max_output_tokens=request.max_output_tokens,
        seed=request.index,
        response_mime_type="application/json",
        response_schema=request.schema,
    )


@contextlib.contextmanager
def translated_errors(model: str) -> Iterator[None]:
    """Errors of the client inside come out as errors of this package."""
    try:
        yield
    except genai_errors.APIError as error:
        raise _translated(error, model) from error
    except google.auth.exceptions.GoogleAuthError as error:
        raise _no_credentials(error) from error
    except httpx.TimeoutException as error:
        raise TransientError(f"{model} did not answer in time.", is_unreachable=True) from error
    except (httpx.HTTPError, OSError) as error:
        raise TransientError(
            f"{model} cannot be reached ({type(error).__name__}: {error}).",
            is_unreachable=True,
        ) from error


def _no_credentials(error: Exception) -> AuthenticationError:
    return AuthenticationError(
        f"Google Cloud's default credentials cannot be used ({error}). Run: gcloud auth "
        "application-default login, or give the machine a service account."
    )


def read_reply(response: Any) -> Reply:
    """What a response of the API says, with the tokens that it counted."""
    usage = response.usage_metadata
    prompt_tokens = (usage and usage.prompt_token_count) or 0
    output_tokens = ((usage and usage.candidates_token_count) or 0) + (
        (usage and usage.thoughts_token_count) or 0
    )
    candidate = response.candidates[0] if response.candidates else None
    reason = candidate.finish_reason.name if candidate and candidate.finish_reason else "STOP"
    if candidate is None or reason in _REFUSALS:
        finish = Finish.REFUSED
    else:
        finish = Finish.LENGTH if reason == "MAX_TOKENS" else Finish.STOP
    parts = (candidate.content.parts or []) if candidate and candidate.content else []
    text = "".join(part.text or "" for part in parts if not part.thought)
    return Reply(text, finish, prompt_tokens, output_tokens, response.model_version or "")


def _translated(error: genai_errors.APIError, model: str) -> ServiceLLMError | TransientError:
    message = f"{model} answered {error.code} {error.status}: {error.message}"
    if error.code in (_UNAUTHENTICATED, _FORBIDDEN) or "API key not valid" in str(error.message):
        return AuthenticationError(
            f"{message} Check the API key or the credentials (gcloud auth application-default "
            "login), and that the API is enabled for the project."
        )
    if error.code == _QUOTA:
        return TransientError(message, wait_seconds=_asked_wait(error), is_quota=True)
    if error.code >= 500:
        return TransientError(message, wait_seconds=_asked_wait(error))
    return BadRequestError(f"{message} Check the model's name and the settings of the service LLM.")


def _asked_wait(error: genai_errors.APIError) -> float | None:
    """Seconds of the RetryInfo in the error's body, else of the Retry-After header."""
    details = error.details.get("error", error.details) if isinstance(error.details, dict) else {}
    for detail in details.get("details") or []:
        match = _DURATION.match(str(detail.get("retryDelay", "")))
        if match:
            return float(match.group(1))
    header = getattr(error.response, "headers", {}).get("Retry-After", "")
    return float(header) if str(header).isdigit() else None
