"""Gemini through google-genai: Google AI Studio by key, Vertex AI by default credentials."""

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import google.auth.exceptions
import httpx
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types

from core.secret_text import without
from service_llm.errors import TransientError
from service_llm.google_sign_in import SignIn, translated_sign_in
from service_llm.providers.bodies import error_of_page, parse_body, with_words_of
from service_llm.providers.gemini_parameters import GeminiParameters
from service_llm.providers.google_addresses import url_of
from service_llm.providers.refusal_meaning import error_of
from service_llm.providers.replies import read_gemini
from service_llm.providers.transport import PooledTransport, is_cut
from service_llm.proxies import proxy_for
from service_llm.refusals import Refusal, error_in_reply
from service_llm.secrets import api_key
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Reply, Request

_STUDIO_VERSION, _VERTEX_VERSION = "v1beta", "v1beta1"
_NO_KEY = "none"  # the client insists on a key; a local server ignores it
_UNAUTHENTICATED = 401
_SIGN_IN = (
    "Check the API key (an expired one has to be created again) or the credentials (gcloud auth "
    "application-default login), and that the API is enabled for the project."
)
_WRONG_PATH = "Check the model's name; base_url, where it is set, has to end before /v1beta."


class GeminiClient:
    """The client of google-genai with settings of this package.

    Raises:
        UserError: The address, the key or the default credentials cannot be used.
    """

    def __init__(self, settings: ServiceLLMSettings) -> None:
        self._settings = settings
        self._key = None if settings.vertex_project else api_key(settings)
        self._sign_in = SignIn() if settings.vertex_project else None
        self.parameters = GeminiParameters(settings, self.shown)
        url = url_of(settings)
        # Clients of our own: what the environment says of proxies is read by one rule, aiohttp is
        # not taken where it happens to be installed, and no redirect is followed.
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(verify=httpx.create_ssl_context(), proxy=proxy_for(url)),
            trust_env=False,
            timeout=settings.timeout_seconds,
        )
        self._async_http = httpx.AsyncClient(
            transport=PooledTransport(settings.max_concurrency),
            trust_env=False,
            timeout=settings.timeout_seconds,
        )
        self.api = self._open(url)

    @property
    def credentials(self) -> Any:
        """The default credentials; None where a key is used."""
        return self._sign_in.credentials if self._sign_in else None

    def shown(self, text: str) -> str:
        """Return a text that may quote the key or a token without it."""
        return self._sign_in.shown(text) if self._sign_in else without(self._key, text)

    def config(self, request: Request) -> genai_types.GenerateContentConfig:
        """Return a request's parameters; the response comes as it was sent."""
        return genai_types.GenerateContentConfig(
            **self.parameters.of(request),
            system_instruction=request.system or None,
            should_return_http_response=True,
        )

    def body_of(self, response: Any) -> Any:
        """Return the JSON of a response whose status was 200.

        Raises:
            Exception: It holds an error all the same.
        """
        return self._read(response.sdk_http_response.body or "")

    def _read(self, content: str | bytes) -> object:
        body = parse_body(content, self._settings.model, wrong_path=_WRONG_PATH, shown=self.shown)
        if refusal := error_in_reply(body):
            raise self.translated(refusal)
        if self._sign_in is not None:
            self._sign_in.served()
        return body

    def read_every_response(self, read: Callable[[object], object]) -> None:
        """Have responses read as `body_of` does, where google-genai keeps their bodies to itself.

        Args:
            read: Called with the JSON of each response of status 200 that holds no error, in the
                context of the call that it answers.
        """

        async def hook(response: httpx.Response) -> None:
            await response.aread()
            if response.status_code == httpx.codes.OK:
                read(self._read(response.content))

        self._async_http.event_hooks["response"].append(hook)

    def check_every_call(self, check: Callable[[httpx.Response], None]) -> None:
        """Have `check` see each response of status 200 to calls that are not asynchronous.

        It may raise, and a web page in place of a response is an error.
        """

        def hook(response: httpx.Response) -> None:
            if response.status_code == httpx.codes.OK:
                response.read()
                page = error_of_page(self.shown(response.text), self._settings.model, _WRONG_PATH)
                if page is not None:
                    raise page
                check(response)
                if self._sign_in is not None:
                    self._sign_in.served()

        self._http.event_hooks["response"].append(hook)

    def translated(self, refusal: Refusal) -> Exception:
        """Return the error of this package that a service's error means; its text holds no key."""
        said = f"{refusal.status} {refusal.text or 'no reason given'}"
        message = self.shown(f"{self._settings.model}: {said}")
        return error_of(refusal, message, sign_in=_SIGN_IN, wrong_path=_WRONG_PATH)

    @contextlib.contextmanager
    def translated_errors(self, request: Request | None = None) -> Iterator[None]:
        """Errors of the client inside come out as errors of this package.

        Args:
            request: What is sent, where its parameters may be what the service refuses.
        """
        model = self._settings.model
        token = self._sign_in.token if self._sign_in else None
        sent = self.parameters.of(request) if request else {}
        try:
            yield
        except genai_errors.APIError as error:
            refusal = refusal_of(error)
            sign_in = self._sign_in if refusal.status == _UNAUTHENTICATED else None
            if sign_in is not None and sign_in.renews(token):
                message = f"{model}: the access token has expired and is renewed."
                raise TransientError(message, is_adapted=True) from None
            if request and self.parameters.learn(refusal, request, sent):
                said = self.shown(f"{model}: {refusal.text}")
                raise TransientError(said, is_adapted=True) from None
            raise self.translated(refusal) from None  # its text may hold the key
        except google.auth.exceptions.GoogleAuthError as error:
            raise translated_sign_in(error) from error
        except httpx.TimeoutException as error:
            raise TransientError(f"{model} did not answer in time.") from error
        except (httpx.HTTPError, OSError) as error:
            raise TransientError(
                f"{model} cannot be reached ({type(error).__name__}: {error}).",
                is_unreachable=True,
                is_cut=is_cut(error),
            ) from error
        # What the client makes of a body that is no response of this API.
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
            raise TransientError(
                f"{model} sent a reply that does not match the Gemini API ({type(error).__name__})."
            ) from error

    def close(self) -> None:
        """Close the connections of calls that were not asynchronous."""
        self._http.close()

    async def aclose(self) -> None:
        """Close all connections."""
        self.close()
        await self._async_http.aclose()

    def _open(self, url: str) -> genai.Client:
        settings = self._settings
        options = genai_types.HttpOptions(
            base_url=url,
            # Said in full: releases of google-genai differ in it, and the stable version of the
            # API has no structured output in its published types.
            api_version=_VERTEX_VERSION if settings.vertex_project else _STUDIO_VERSION,
            timeout=int(settings.timeout_seconds * 1000),
            # The client's own retries would take no permit of the limiter.
            retry_options=genai_types.HttpRetryOptions(attempts=1),
            httpx_client=self._http,
            httpx_async_client=self._async_http,
        )
        if not settings.vertex_project:
            key = self._key or _NO_KEY
            return genai.Client(vertexai=False, api_key=key, http_options=options)
        return genai.Client(
            vertexai=True,
            project=settings.vertex_project,
            location=settings.vertex_location,
            credentials=self.credentials,
            http_options=options,
        )


class Gemini:
    """The Gemini API of Google AI Studio, of Vertex AI, or of a server that speaks it."""

    def __init__(self, settings: ServiceLLMSettings) -> None:
        self._model = settings.model
        self._client = GeminiClient(settings)

    @property
    def adaptations(self) -> tuple[str, ...]:
        """What the model was found to refuse."""
        return self._client.parameters.adaptations

    async def send(self, request: Request) -> Reply:
        """Return the model's reply; see `Provider`."""
        config = self._client.config(request)
        prompt = self._client.parameters.prompt_of(request)
        with self._client.translated_errors(request):
            response = await self._client.api.aio.models.generate_content(
                model=self._model, contents=prompt, config=config
            )
        body = self._client.body_of(response)
        try:
            return read_gemini(body, self._model)
        except TransientError as error:
            raise with_words_of(body, error, self._client.shown) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def refusal_of(error: genai_errors.APIError) -> Refusal:
    """Return what a service sent as an error."""
    response = error.response
    headers = getattr(response, "headers", None) or {}
    body = error.details
    # google-genai's own frame around a body that is no JSON.
    text = getattr(response, "text", None)
    if isinstance(body, dict) and set(body) == {"message", "status"} and body["message"] == text:
        body = text
    if isinstance(body, str):
        with contextlib.suppress(ValueError, RecursionError):
            body = json.loads(body)
    return Refusal(error.code or 0, body, headers)
