"""Any endpoint that speaks OpenAI's chat completions: vLLM, Ollama, llama.cpp's server, OpenAI."""

import contextlib
from collections.abc import Iterator
from typing import Any, cast

import httpx
import openai

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


class OpenAICompatible:
    """An endpoint with `/chat/completions`."""

    def __init__(self, settings: ServiceLLMSettings) -> None:
        self._model = settings.model
        self._client = open_client(settings)

    async def send(self, request: Request) -> Reply:
        """The model's reply; see `Provider`."""
        messages: list[Any] = [{"role": "user", "content": request.prompt}]
        if request.system:
            messages.insert(0, {"role": "system", "content": request.system})
        with translated_errors(self._model):
            completion = await self._client.chat.completions.create(
                model=self._model,
                messages=messages,
                temperature=request.temperature,
                max_tokens=request.max_output_tokens,
                seed=request.index,
                response_format={
                    "type": "json_schema",
                    "json_schema": {
                        "name": request.schema.__name__,
                        "schema": request.schema.model_json_schema(),
                    },
                },
            )
        return _reply(completion)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def open_client(settings: ServiceLLMSettings) -> openai.AsyncOpenAI:
    """The client of openai, without retries of its own.

    Raises:
        AuthenticationError: The key cannot be read.
    """
    return openai.AsyncOpenAI(
        api_key=api_key(settings) or _NO_KEY,
        base_url=settings.resolved_base_url(),
        timeout=settings.timeout_seconds,
        max_retries=0,  # the client's own retries would take no permit of the limiter
        # openai takes clients of httpx and of its fork httpx2; its types name only the fork.
        http_client=cast(
            "Any",
            httpx.AsyncClient(
                transport=PooledTransport(settings.max_concurrency), follow_redirects=True
            ),
        ),
    )


@contextlib.contextmanager
def translated_errors(model: str) -> Iterator[None]:
    """Errors of the client inside come out as errors of this package."""
    try:
        yield
    except openai.APIError as error:
        raise _translated(error, model) from error


def _reply(completion: Any) -> Reply:
    choice = completion.choices[0] if completion.choices else None
    text = (choice.message.content or "") if choice else ""
    reason = choice.finish_reason if choice else "content_filter"
    refused = choice is None or reason == "content_filter" or bool(choice.message.refusal)
    finish = Finish.REFUSED if refused else Finish.LENGTH if reason == "length" else Finish.STOP
    usage = completion.usage
    return Reply(
        text,
        finish,
        usage.prompt_tokens if usage else 0,
        usage.completion_tokens if usage else 0,
        completion.model or "",
    )


def _translated(error: openai.APIError, model: str) -> ServiceLLMError | TransientError:
    message = f"{model}: {error}"
    if isinstance(error, openai.APITimeoutError | openai.APIConnectionError):
        return TransientError(f"{model} cannot be reached ({error}).", is_unreachable=True)
    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return AuthenticationError(f"{message} Check the API key and what it is allowed to do.")
    if isinstance(error, openai.RateLimitError):
        return TransientError(message, wait_seconds=_asked_wait(error), is_quota=True)
    if isinstance(error, openai.InternalServerError):
        return TransientError(message, wait_seconds=_asked_wait(error))
    return BadRequestError(f"{message} Check the model's name and the settings of the service LLM.")


def _asked_wait(error: openai.APIStatusError) -> float | None:
    header = error.response.headers.get("Retry-After", "")
    return float(header) if header.isdigit() else None
