"""Asks an OpenAI-compatible server about the model that it serves: llama.cpp's, vLLM's or another.

Requests of the application do not come here; the gateway sends those itself.

References:
    https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md (`/props`);
    https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import httpx

from core.conversation import chat_messages
from service_llm.providers.replies import openai_tokens

EngineKind = Literal["llama.cpp", "vllm", "other"]

_SHORT_PROMPT = "Hello"
_SHORT_TOKENS = 2


class EngineError(Exception):
    """The server cannot be reached, or answers with something else than was asked for."""


class EngineRefusedError(EngineError):
    """The server refuses the key, or wants one."""


class Generated(NamedTuple):
    """A whole answer.

    Attributes:
        text: The text.
        finish: `stop` when the model ended its turn, `length` when it was cut off.
        prompt_tokens: Tokens that the server says it read; None where it does not say.
    """

    text: str
    finish: str
    prompt_tokens: int | None


class Engine:
    """A server and the name that its model has there.

    Args:
        url: Of the server, with or without `/v1`.
        model: The `model` of requests.
        key: Sent as bearer token; None sends none.
        timeout_seconds: For an answer.
    """

    def __init__(
        self, url: str, model: str, key: str | None = None, timeout_seconds: float = 60
    ) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self.model = model
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.AsyncClient(
            base_url=self.url, headers=headers, timeout=timeout_seconds, trust_env=False
        )
        self._kind: EngineKind | None = None

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def generate(self, message: str, max_tokens: int) -> Generated:
        """Return the greedy answer to a coverage prompt.

        Raises:
            EngineError: There is none.
        """
        body = {
            "model": self.model,
            "messages": chat_messages(message),
            "max_tokens": max_tokens,
            "temperature": 0,
        }
        reply = await self._ask("POST", "/v1/chat/completions", body)
        try:
            choice = reply["choices"][0]
            text, finish = choice["message"].get("content") or "", choice["finish_reason"]
            # OpenAI's protocol does not require the usage.
            tokens = openai_tokens(reply.get("usage"), has_output=False)
            return Generated(text, finish, tokens.prompt if tokens.is_known else None)
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise EngineError(f"{self.url} answered with no chat completion: {error!r}") from error

    async def check_ready(self) -> None:
        """Raise unless a short generation comes back.

        Raises:
            EngineError: It does not.
        """
        generated = await self.generate(_SHORT_PROMPT, _SHORT_TOKENS)
        if generated.prompt_tokens == 0:
            raise EngineError(f"{self.url} processed no token of the prompt")

    async def check_alive(self, timeout_seconds: float) -> None:
        """Raise unless the server answers at all, however busy it is.

        Raises:
            EngineError: It does not.
        """
        try:
            await self._http.get("/v1/models", timeout=timeout_seconds)
        except httpx.HTTPError as error:
            raise EngineError(f"{self.url} does not answer: {error!r}") from error

    async def models(self) -> list[str]:
        """Names of the models that are served.

        Raises:
            EngineError: The server does not tell.
        """
        return [str(model["id"]) for model in await self._models()]

    async def is_idle(self) -> bool:
        """Whether nothing is computed; True where the server does not tell."""
        try:
            reply = await self._http.get("/slots")
            slots = reply.json() if reply.is_success else []
            return not any(slot["is_processing"] for slot in slots)
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return True

    async def context_length(self) -> int | None:
        """Tokens of a prompt and its answer at most; None where the server does not tell.

        Raises:
            EngineError: The server cannot be reached.
        """
        kind = await self.kind()
        if kind == "llama.cpp":
            props = await self._ask("GET", "/props")
            return int(props["default_generation_settings"]["n_ctx"])
        if kind == "vllm":
            models = await self._models()
            lengths = {model["id"]: model.get("max_model_len") for model in models}
            return lengths.get(self.model)
        return None

    async def kind(self) -> EngineKind:
        """Which server it is, as far as it matters here.

        Raises:
            EngineError: The server cannot be reached.
        """
        if self._kind is None:
            try:
                props = await self._http.get("/props")
                if props.is_success and "default_generation_settings" in props.json():
                    self._kind = "llama.cpp"
                    return self._kind
                body = {"model": self.model, "messages": [{"role": "user", "content": "a"}]}
                tokens = await self._http.post("/tokenize", json=body)
            except (httpx.HTTPError, ValueError) as error:
                raise EngineError(f"{self.url} cannot be reached: {error!r}") from error
            self._kind = "vllm" if tokens.is_success and "count" in tokens.json() else "other"
        return self._kind

    async def _models(self) -> list[dict[str, Any]]:
        reply = await self._ask("GET", "/v1/models")
        try:
            models = reply["data"] or []  # null is how Ollama writes that it has none
            return [model for model in models if model["id"]]
        except (KeyError, TypeError, AttributeError) as error:
            raise EngineError(f"{self.url} lists no models at /v1/models: {error!r}") from error

    async def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        try:
            reply = await self._http.request(method, path, json=body)
            reply.raise_for_status()
            values: dict[str, Any] = reply.json()
        except httpx.HTTPStatusError as error:
            status, text = error.response.status_code, error.response.text[:300]
            kind = EngineRefusedError if status in (401, 403) else EngineError
            raise kind(f"{self.url}{path} answered {status}: {text}") from error
        except (httpx.HTTPError, ValueError) as error:
            raise EngineError(f"{self.url}{path} returned no answer: {error!r}") from error
        return values
