"""The applications of a drill: the google-genai and openai clients, with their base URL changed."""

import abc
from typing import Any, NamedTuple

import google.auth
import google.auth.transport.requests
import openai
from google import genai
from google.genai import types

from core.conversation import chat_messages
from service_llm.secrets import api_key
from service_llm.settings import ServiceLLMSettings
from serving.drill.record import Protocol
from serving.gateway.task import ServedTask
from serving.settings import PLACEHOLDER

_NO_KEY = "none"  # clients insist on one, and a service without keys takes any
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_TIMEOUT_SECONDS = 180.0


class Reply(NamedTuple):
    """What a client got for a request.

    Attributes:
        text: The text.
        is_whole: Whether the answer came to its end.
        version: What the answer says that gave it.
        error: The client's error; empty where there was none.
    """

    text: str
    is_whole: bool
    version: str
    error: str = ""


class Application(abc.ABC):
    """An application that has its messages answered.

    Args:
        service: The service that it uses.
        task: Its task, which says what it wraps around a message.
    """

    def __init__(self, service: ServiceLLMSettings, task: ServedTask) -> None:
        is_alias = task.match == "model"
        self.model = (task.model_alias or task.name) if is_alias else service.model
        self._template = task.template if task.match == "template" else None
        self.system = None if self._template else task.instruction

    async def ask(self, message: str, *, stream: bool) -> Reply:
        """Have a message answered; what goes wrong is told in the reply."""
        turns = chat_messages(message)
        if self._template:
            turns[-1]["content"] = self._template.replace(PLACEHOLDER, turns[-1]["content"])
        pieces: list[str] = []
        seen = {"version": "", "finish": ""}
        try:
            await self._collect(turns, stream, pieces, seen)
        except Exception as error:  # whatever the client raises, the application has no answer
            return Reply(
                "".join(pieces), False, seen["version"], f"{type(error).__name__}: {error}"
            )
        text = "".join(pieces)
        return Reply(text, bool(text.strip() and seen["finish"]), seen["version"])

    @abc.abstractmethod
    async def _collect(
        self, turns: list[dict[str, str]], stream: bool, pieces: list[str], seen: dict[str, str]
    ) -> None:
        """Add what comes to `pieces`, and the version and finish reason to `seen`."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Close the connections."""


class GeminiApplication(Application):
    """An application with the google-genai client."""

    def __init__(self, service: ServiceLLMSettings, task: ServedTask, gateway: str) -> None:
        super().__init__(service, task)
        options = types.HttpOptions(
            base_url=gateway,
            timeout=int(_TIMEOUT_SECONDS * 1000),
            retry_options=types.HttpRetryOptions(attempts=1),
        )
        if service.vertex_project:
            self._client = genai.Client(
                vertexai=True,
                project=service.vertex_project,
                location=service.vertex_location,
                http_options=options,
            )
        else:
            key = api_key(service) or _NO_KEY
            self._client = genai.Client(vertexai=False, api_key=key, http_options=options)

    async def _collect(
        self, turns: list[dict[str, str]], stream: bool, pieces: list[str], seen: dict[str, str]
    ) -> None:
        models = self._client.aio.models
        config = types.GenerateContentConfig(system_instruction=self.system)
        contents: list[Any] = [
            types.Content(
                role="user" if turn["role"] == "user" else "model",
                parts=[types.Part(text=turn["content"])],
            )
            for turn in turns
        ]
        if not stream:
            whole = await models.generate_content(
                model=self.model, contents=contents, config=config
            )
            self._read(whole, pieces, seen)
            return
        chunks = await models.generate_content_stream(
            model=self.model, contents=contents, config=config
        )
        async for chunk in chunks:
            self._read(chunk, pieces, seen)

    @staticmethod
    def _read(
        answer: types.GenerateContentResponse, pieces: list[str], seen: dict[str, str]
    ) -> None:
        seen["version"] = answer.model_version or seen["version"]
        for candidate in (answer.candidates or [])[:1]:
            seen["finish"] = str(candidate.finish_reason or seen["finish"])
            parts = (candidate.content.parts if candidate.content else None) or []
            pieces += [part.text for part in parts if part.text and not part.thought]

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aio.aclose()
        self._client.close()


class OpenAIApplication(Application):
    """An application with the openai client."""

    def __init__(self, service: ServiceLLMSettings, task: ServedTask, gateway: str) -> None:
        super().__init__(service, task)
        key = _vertex_token() if service.vertex_project else api_key(service)
        self._client = openai.AsyncOpenAI(
            base_url=f"{gateway}/v1",
            api_key=key or _NO_KEY,
            max_retries=0,
            timeout=_TIMEOUT_SECONDS,
        )

    async def _collect(
        self, turns: list[dict[str, str]], stream: bool, pieces: list[str], seen: dict[str, str]
    ) -> None:
        messages: list[Any] = list(turns)
        if self.system:
            messages.insert(0, {"role": "system", "content": self.system})
        create = self._client.chat.completions.create
        if not stream:
            whole = await create(model=self.model, messages=messages)
            seen["version"] = whole.model
            for choice in whole.choices[:1]:
                seen["finish"] = choice.finish_reason or ""
                pieces.append(choice.message.content or "")
            return
        async for chunk in await create(model=self.model, messages=messages, stream=True):
            seen["version"] = chunk.model or seen["version"]
            for piece in chunk.choices[:1]:
                seen["finish"] = piece.finish_reason or seen["finish"]
                pieces.append(piece.delta.content or "")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def open_application(
    protocol: Protocol, service: ServiceLLMSettings, task: ServedTask, gateway: str
) -> Application:
    """Return an application that speaks a protocol.

    Args:
        protocol: Which.
        service: The service that it uses.
        task: Its task.
        gateway: URL of the gateway.
    """
    kind = GeminiApplication if protocol == "gemini" else OpenAIApplication
    return kind(service, task, gateway)


def _vertex_token() -> str:
    """Return a bearer token of the application default credentials."""
    credentials, _ = google.auth.default(scopes=[_SCOPE])
    credentials.refresh(google.auth.transport.requests.Request())  # type: ignore[no-untyped-call]
    return str(credentials.token)
