"""Any endpoint that speaks OpenAI's chat completions: vLLM, Ollama, llama.cpp's server, OpenAI."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, cast

import httpx
import openai

from core.secret_text import without
from service_llm.addresses import path_advice
from service_llm.errors import TransientError
from service_llm.providers.bodies import parse_body, with_words_of
from service_llm.providers.form import with_form
from service_llm.providers.output_limit import OutputLimit
from service_llm.providers.parameters import Parameters
from service_llm.providers.refusal_meaning import error_of
from service_llm.providers.replies import read_openai
from service_llm.providers.strict_schema import is_about_strict, strict_schema
from service_llm.providers.transport import PooledTransport, is_cut
from service_llm.refusals import Refusal, error_in_reply
from service_llm.secrets import api_key
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Reply, Request

DEFAULT_URL = "https://api.openai.com/v1"
_NO_KEY = "none"  # the client insists on a key; a local server ignores it
_SIGN_IN = "Check the API key and what it is allowed to do."
# What to send instead of a parameter that a model refuses, first to last: OpenAI's reasoning models
# take no limit on the visible reply alone, and many servers know no schema.
_SCHEMA, _OBJECT = "response_format", "response_format json_object"
_STRICT = "strict"
_SUBSTITUTES = {
    "max_tokens": ("max_completion_tokens",),
    "temperature": (),
    "seed": (),
    "reasoning_effort": (),
    _SCHEMA: (_OBJECT,),
    _STRICT: (),
}
_ALIASES = {
    **dict.fromkeys(
        ("json_schema", "JSON schema", "grammar", "structured outputs", "guided decoding"), _SCHEMA
    ),
    **dict.fromkeys(("thinking", "reasoning value"), "reasoning_effort"),
}


class OpenAIClient:
    """The client of openai with settings of this package.

    Args:
        settings: The service.
        endpoint: What is asked for, below the address.

    Raises:
        UserError: The address or the key cannot be used.
    """

    def __init__(self, settings: ServiceLLMSettings, endpoint: str) -> None:
        self.model = settings.model
        self._key = api_key(settings)
        # Said in full, or the client would take them from OPENAI_BASE_URL, OPENAI_ORG_ID and such.
        self._base_url = settings.resolved_base_url() or DEFAULT_URL
        self.api = openai.AsyncOpenAI(
            api_key=self._key or _NO_KEY,
            base_url=self._base_url,
            timeout=settings.timeout_seconds,
            max_retries=0,  # the client's own retries would take no permit of the limiter
            # openai takes clients of httpx and of its fork httpx2; its types name only the fork.
            http_client=cast(
                "Any", httpx.AsyncClient(transport=PooledTransport(settings.max_concurrency))
            ),
        )
        self.api.organization = None
        self.api.project = None
        # OPENAI_CUSTOM_HEADERS, with which a header of another service could replace the key. The
        # client has no public way to refuse them.
        self.api._custom_headers = {}
        self._wrong_path = path_advice(self._base_url, endpoint)

    def shown(self, text: str) -> str:
        """Return a text that may quote the key without it."""
        return without(self._key, text)

    def body_of(self, response: Any) -> Any:
        """Return the JSON of a response whose status was 200.

        Raises:
            RefusalError: It holds an error all the same.
        """
        content = response.http_response.content
        body = parse_body(content, self.model, wrong_path=self._wrong_path, shown=self.shown)
        if refusal := error_in_reply(body):
            raise RefusalError(refusal)
        return body

    def _translated(self, refusal: Refusal) -> Exception:
        """Return the error of this package that a service's error means; its text holds no key."""
        status = f"{refusal.status} " if refusal.status else ""
        message = self.shown(f"{self.model}: {status}{refusal.text or 'no reason given'}")
        return error_of(refusal, message, sign_in=_SIGN_IN, wrong_path=self._wrong_path)

    @contextlib.contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Errors of the client inside come out as errors of this package."""
        try:
            yield
        except (openai.APIStatusError, RefusalError) as error:
            raise self._translated(refusal_of(error)) from None  # its text may hold the key
        except openai.APITimeoutError:
            raise TransientError(f"{self.model} did not answer in time.") from None
        except openai.APIConnectionError as error:
            message = self.shown(f"{self.model} cannot be reached ({error.__cause__!r}).")
            cut = is_cut(error.__cause__)
            raise TransientError(message, is_unreachable=True, is_cut=cut) from None
        except openai.APIError as error:
            raise TransientError(self.shown(f"{self.model}: {error}")) from None

    async def close(self) -> None:
        """Close the connections."""
        await self.api.close()


class RefusalError(Exception):
    """An error in a body whose status was 200."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


def refusal_of(error: openai.APIStatusError | RefusalError) -> Refusal:
    """Return what a service sent as an error."""
    if isinstance(error, RefusalError):
        return error.refusal
    response = error.response
    try:
        body = response.json()
    except (ValueError, RecursionError):
        body = response.text
    return Refusal(error.status_code, body, response.headers)


class OpenAICompatible:
    """An endpoint with `/chat/completions`."""

    def __init__(self, settings: ServiceLLMSettings) -> None:
        self._settings = settings
        self._client = OpenAIClient(settings, "/chat/completions")
        self._parameters = Parameters(
            settings.model, _SUBSTITUTES, _ALIASES, shown=self._client.shown
        )
        self._output_limit = OutputLimit(settings)

    @property
    def adaptations(self) -> tuple[str, ...]:
        """What the model was found to refuse."""
        return (*self._parameters.refused, *self._output_limit.refused)

    async def send(self, request: Request) -> Reply:
        """Return the model's reply; see `Provider`."""
        parameters, sent = self._sent(request)
        with self._client.translated_errors():
            try:
                response = await self._client.api.chat.completions.with_raw_response.create(
                    model=self._settings.model,
                    messages=self._messages(request, sent),
                    # Some gateways stream where nothing is said of it.
                    stream=False,
                    **parameters,
                )
                body = self._client.body_of(response)
            except (openai.APIStatusError, RefusalError) as error:
                self._learn(refusal_of(error), request, parameters, sent)
                raise
        try:
            return read_openai(body, self._settings.model)
        except TransientError as error:
            raise with_words_of(body, error, self._client.shown) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _learn(
        self,
        refusal: Refusal,
        request: Request,
        parameters: Mapping[str, Any],
        sent: Mapping[str, str],
    ) -> None:
        """Have the request sent again as the error says: with less output, or less parameters."""
        limit = sent.get("max_tokens")
        if _STRICT in sent and is_about_strict(refusal):
            self._parameters.leave_out(_STRICT, refusal)
        elif not (
            (limit and self._output_limit.learn(refusal, request, parameters[limit]))
            or self._parameters.learn(refusal, sent)
        ):
            return
        said = self._client.shown(f"{self._settings.model}: {refusal.text}")
        raise TransientError(said, is_adapted=True)

    def _sent(self, request: Request) -> tuple[dict[str, Any], dict[str, str]]:
        """Return the parameters of a request, and by what name each of `_SUBSTITUTES` goes out."""
        values: dict[str, Any] = {
            "max_tokens": self._output_limit.of(request),
            "temperature": request.temperature,
            "seed": request.index,
            _SCHEMA: None,
            _STRICT: None,
        }
        if self._settings.thinking is not None:
            values["reasoning_effort"] = self._settings.thinking
        sent = {name: chosen for name in values if (chosen := self._parameters.choose(name))}
        if sent.get(_SCHEMA) != _SCHEMA:
            sent.pop(_STRICT, None)
        parameters = {
            chosen: values[name] for name, chosen in sent.items() if name not in (_SCHEMA, _STRICT)
        }
        if sent.get(_SCHEMA) == _SCHEMA:
            schema = (
                {"strict": True, "schema": strict_schema(request.schema)}
                if _STRICT in sent
                else {"schema": request.schema.model_json_schema()}
            )
            named = {"name": request.schema.__name__, **schema}
            parameters[_SCHEMA] = {"type": "json_schema", "json_schema": named}
        elif _SCHEMA in sent:
            parameters[_SCHEMA] = {"type": "json_object"}
        return parameters, sent

    def _messages(self, request: Request, sent: Mapping[str, str]) -> list[Any]:
        prompt = request.prompt
        if sent.get(_SCHEMA) != _SCHEMA:  # nothing else tells the model the form
            prompt = with_form(prompt, request.schema)
        messages = [{"role": "user", "content": prompt}]
        if request.system:
            messages.insert(0, {"role": "system", "content": request.system})
        return messages
