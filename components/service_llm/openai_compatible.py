"""Any endpoint that speaks OpenAI's chat completions: vLLM, Ollama, llama.cpp's server, OpenAI."""

import contextlib
from collections.abc import Iterator
from typing import Any, cast

import httpx
import openai

from components.service_llm.errors import (
    QuotaError,
    ServiceLLMError,
    TransientError,
    error_of_status,
)
from components.service_llm.secrets import api_key, without
from components.service_llm.settings import ServiceLLMSettings
from components.service_llm.transport import PooledTransport
from components.service_llm.types import Finish, Reply, Request
from components.service_llm.waits import retry_after

_NO_KEY = "none"  # the client insists on a key; a local server ignores it
_NO_MONEY = "insufficient_quota"
_REFUSED = "content_filter"  # by Azure, of a prompt
# What to send instead of a parameter that a model does not take: reasoning models of OpenAI take
# no limit on the visible reply alone, and no temperature.
_INSTEAD = {"max_tokens": "max_completion_tokens", "temperature": None, "seed": None}


class OpenAIClient:
    """The client of openai with settings of this package.

    Raises:
        AuthenticationError: The key cannot be read.
    """

    def __init__(self, settings: ServiceLLMSettings) -> None:
        self._model = settings.model
        self._key = api_key(settings)
        self.api = openai.AsyncOpenAI(
            api_key=self._key or _NO_KEY,
            base_url=settings.resolved_base_url(),
            timeout=settings.timeout_seconds,
            max_retries=0,  # the client's own retries would take no permit of the limiter
            # openai takes clients of httpx and of its fork httpx2; its types name only the fork.
            http_client=cast(
                "Any", httpx.AsyncClient(transport=PooledTransport(settings.max_concurrency))
            ),
        )

    @contextlib.contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Errors of the client inside come out as errors of this package."""
        model = self._model
        try:
            yield
        except openai.APIError as error:
            message = without(self._key, f"{model}: {error}")
            raise _translated(error, message) from None  # its text may hold the key
        # What the client makes of a body that is none of this API.
        except (
            ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError,
        ) as error:  # fmt: skip
            raise TransientError(
                f"{model} sent a reply that is none of OpenAI's API ({type(error).__name__})."
            ) from error


class OpenAICompatible:
    """An endpoint with `/chat/completions`."""

    def __init__(self, settings: ServiceLLMSettings) -> None:
        self._settings = settings
        self._not_taken: set[str] = set()
        self._client = OpenAIClient(settings)

    async def send(self, request: Request) -> Reply:
        """The model's reply; see `Provider`."""
        messages: list[Any] = [{"role": "user", "content": request.prompt}]
        if request.system:
            messages.insert(0, {"role": "system", "content": request.system})
        with self._client.translated_errors():
            try:
                completion = await self._client.api.chat.completions.create(
                    model=self._settings.model,
                    messages=messages,
                    response_format={
                        "type": "json_schema",
                        "json_schema": {
                            "name": request.schema.__name__,
                            "schema": request.schema.model_json_schema(),
                        },
                    },
                    **self._parameters(request),
                )
            except openai.BadRequestError as error:
                if error.code == _REFUSED:
                    return Reply("", Finish.REFUSED, 0, 0)
                if error.param in _INSTEAD and error.param not in self._not_taken:
                    self._not_taken.add(error.param)
                    raise TransientError(f"The model takes no {error.param}.") from error
                raise
            return _read_reply(completion)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.api.close()

    def _parameters(self, request: Request) -> dict[str, Any]:
        parameters: dict[str, Any] = {
            "temperature": request.temperature,
            "max_tokens": self._settings.most_output_tokens(request.max_output_tokens),
            "seed": request.index,
        }
        for name in self._not_taken:
            value, instead = parameters.pop(name), _INSTEAD[name]
            if instead:
                parameters[instead] = value
        if self._settings.thinking is not None:
            parameters["reasoning_effort"] = self._settings.thinking
        return parameters


def _read_reply(completion: Any) -> Reply:
    choice = completion.choices[0] if completion.choices else None
    text = (choice.message.content or "") if choice else ""
    reason = choice.finish_reason if choice else "stop"
    refused = reason == _REFUSED or bool(choice and choice.message.refusal)
    finish = Finish.REFUSED if refused else Finish.LENGTH if reason == "length" else Finish.STOP
    usage = completion.usage
    return Reply(
        text,
        finish,
        int(usage.prompt_tokens) if usage else 0,
        int(usage.completion_tokens) if usage else 0,
        completion.model or "",
    )


def _translated(error: openai.APIError, message: str) -> ServiceLLMError | TransientError:
    if isinstance(error, openai.APIConnectionError):
        return TransientError(f"{message} ({error.__cause__!r})", is_unreachable=True)
    if not isinstance(error, openai.APIStatusError):
        return TransientError(message)
    if error.code == _NO_MONEY:
        return QuotaError(f"{message} The account's credit is used up.")
    headers = error.response.headers
    return error_of_status(
        error.status_code,
        message,
        wait_seconds=retry_after(headers),
        location=headers.get("Location", ""),
    )
