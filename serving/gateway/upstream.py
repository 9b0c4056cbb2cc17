"""Where requests go at the service, and the HTTP client that takes them there."""

import asyncio
import functools
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import yarl
from multidict import CIMultiDict

from service_llm import proxies
from service_llm.settings import ServiceLLMSettings

SERVICE: Final = "service"  # the backend that the preset names
# Requests to locations that a caller has made up or misspelt, all together.
NO_LOCATION: Final = f"{SERVICE}:no-such-location"
_STUDIO: Final = f"{SERVICE}:ai-studio"
_AI_STUDIO = "https://generativelanguage.googleapis.com"
_OPENAI = "https://api.openai.com/v1"
_VERTEX_HOST = "aiplatform.googleapis.com"
# https://docs.cloud.google.com/vertex-ai/generative-ai/docs/learn/locations
_MULTI_REGIONS = {
    "global": _VERTEX_HOST,
    "us": "aiplatform.us.rep.googleapis.com",
    "eu": "aiplatform.eu.rep.googleapis.com",
}
_REGION = re.compile(r"[a-z]+-[a-z]+\d{1,2}")
_VERTEX_PATH = re.compile(
    r"/v1(?:beta1)?/(?:projects/[^/]+/locations/(?P<location>[a-z0-9-]+)/|publishers/google/)"
)
_OPENAI_PREFIXES = ("/v1beta/openai/", "/v1/")
# What OpenAI's API has under /v1; Gemini's has `models`, too, with verbs after a colon.
_OPENAI_PATH = re.compile(
    r"/v1/((?:chat|completions|responses|models|embeddings|images|audio|videos|files|batches"
    r"|moderations|fine_tuning)(?:/[^:]*)?)"
)
# Of one connection only: https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
_HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_NOT_ON = _HOP_BY_HOP | {b"host", b"expect"}
_OWN_PREFIX = b"x-understudy-"
# aiohttp would add these to requests that do without.
_NO_ADDITIONS = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")
_CONNECT_SECONDS = 10.0
# Reusing a connection that is about to be closed would lose a request, because none is sent twice.
# Google and OpenAI keep idle ones for minutes; uvicorn and Node, for one, for five seconds.
_KEEP_ALIVE_SECONDS = 15.0
_SHORT_KEEP_ALIVE_SECONDS = 4.0
_KEEP_FOR_MINUTES = ("googleapis.com", "api.openai.com")
_LONGEST_HEADER = 256 * 1024

# What aiohttp raises where a connection fails; a timeout is no ClientError.
CONNECTION_ERRORS: Final = (
    aiohttp.ClientError,
    OSError,
    TimeoutError,
    asyncio.IncompleteReadError,
)

Headers = Iterable[tuple[bytes, bytes]]


class Upstream:
    """The service.

    Args:
        service: Which.

    Attributes:
        provider: Whose protocol it speaks, `gemini` or `openai`.
        project: The Google Cloud project of requests that name none; empty for none.

    Raises:
        UserError: Its base URL is to be read from the environment, and cannot be; or the proxy
            to it cannot be used.
    """

    def __init__(self, service: ServiceLLMSettings) -> None:
        self.provider = service.provider
        self.project = service.vertex_project or ""
        self._location = service.vertex_location
        self._base = service.resolved_base_url()
        url = yarl.URL(self._usual_base())
        self._host = url.raw_host
        proxy_for(url.scheme, url.host or "")

    @property
    def keep_alive_seconds(self) -> float:
        """How long an idle connection may be reused."""
        host = urlsplit(self._base).hostname if self._base else _KEEP_FOR_MINUTES[0]
        is_patient = (host or "").endswith(_KEEP_FOR_MINUTES)
        return _KEEP_ALIVE_SECONDS if is_patient else _SHORT_KEEP_ALIVE_SECONDS

    def url(self, raw_path: str, query: bytes, *, is_openai_client: bool) -> yarl.URL:
        """Where a request goes.

        Args:
            raw_path: As the client sent it, percent signs included.
            query: Likewise.
            is_openai_client: Whether the request speaks OpenAI's protocol, where the path alone
                does not tell (`/v1/models`).
        """
        target = self._target(raw_path, is_openai_client=is_openai_client)
        suffix = f"?{query.decode('latin-1')}" if query else ""
        return yarl.URL(target + suffix, encoded=True)

    def backend(self, url: yarl.URL) -> str:
        """Name what fails on its own: `service`, or `service:LOCATION` elsewhere on Vertex AI.

        Args:
            url: Where a request goes.
        """
        host = url.raw_host or ""
        if host == self._host:
            return SERVICE
        if url.raw_host == yarl.URL(_AI_STUDIO).raw_host:
            return _STUDIO
        for location, own in _MULTI_REGIONS.items():
            if host == own:
                return f"{SERVICE}:{location}"
        location = host.removesuffix(f"-{_VERTEX_HOST}")
        if location != host and not _REGION.fullmatch(location):
            return NO_LOCATION
        return f"{SERVICE}:{location}"

    def _usual_base(self) -> str:
        if self._base:
            return self._base
        if self.provider == "openai":
            return _OPENAI
        return _vertex_host(self._location) if self.project else _AI_STUDIO

    def _target(self, path: str, *, is_openai_client: bool) -> str:
        vertex = _VERTEX_PATH.match(path)
        if self.provider == "openai":
            base = self._base or _OPENAI
            for prefix in _OPENAI_PREFIXES:
                if path.startswith(prefix) and not vertex:
                    return f"{base}/{path.removeprefix(prefix)}"
            return f"{_origin(base)}{path}"
        openai = _OPENAI_PATH.fullmatch(path) if is_openai_client else None
        if openai:
            return self._openai_at_google(openai[1])
        if self._base:
            return f"{self._base}{path}"
        return f"{_vertex_host(vertex['location']) if vertex else _AI_STUDIO}{path}"

    def _openai_at_google(self, rest: str) -> str:
        if self.project:
            host = self._base or _vertex_host(self._location)
            place = f"projects/{self.project}/locations/{self._location}"
            return f"{host}/v1/{place}/endpoints/openapi/{rest}"
        return f"{self._base or _AI_STUDIO}/v1beta/openai/{rest}"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _vertex_host(location: str | None) -> str:
    host = _MULTI_REGIONS.get(location or "global", f"{location}-{_VERTEX_HOST}")
    return f"https://{host}"


def name_of(backend: str) -> str:
    """Return a backend's name as one says it; see `Upstream.backend`."""
    if backend == SERVICE:
        return "the service"
    if backend == _STUDIO:
        return "Google AI Studio"
    if backend == NO_LOCATION:
        return "a location that Vertex AI does not have"
    return f"the service in {backend.partition(':')[2]}"


def open_session(
    keep_alive_seconds: float = _SHORT_KEEP_ALIVE_SECONDS,
    guards: Sequence[aiohttp.TraceConfig] = (),
) -> aiohttp.ClientSession:
    """Return a client that passes bytes through as they are, and sends nothing twice on its own.

    Args:
        keep_alive_seconds: How long a connection is kept that nobody uses.
        guards: Look at every request.
    """
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=keep_alive_seconds),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
        auto_decompress=False,
        trace_configs=list(guards),
        skip_auto_headers=_NO_ADDITIONS,
        max_line_size=_LONGEST_HEADER,
        max_field_size=_LONGEST_HEADER,
    )
    # aiohttp sends GET, PUT and DELETE again where a kept connection drops, and has no public
    # setting for it; its own test client does the same.
    session._retry_connection = False
    return session


@functools.lru_cache(maxsize=256)
def proxy_for(scheme: str, host: str) -> str | None:
    """Return the proxy that the environment names for a server (`HTTPS_PROXY`, `NO_PROXY`).

    aiohttp would look it up in a thread of its own for every request.

    Raises:
        UserError: It is none that can be used.
    """
    return proxies.proxy_for(f"{scheme}://[{host}]" if ":" in host else f"{scheme}://{host}")


def request_headers(headers: Headers) -> CIMultiDict[str]:
    """Return the headers that go on to the service: all but those of the connection and our own."""
    dropped = _named_by_connection(headers)
    return CIMultiDict(
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in headers
        if name not in _NOT_ON and name not in dropped and not name.startswith(_OWN_PREFIX)
    )


def response_headers(response: aiohttp.ClientResponse) -> list[tuple[bytes, bytes]]:
    """Return the headers that go back to the client."""
    headers = [(name.lower(), value) for name, value in response.raw_headers]
    dropped = _named_by_connection(headers)
    return [
        (name, value)
        for name, value in headers
        if name not in _HOP_BY_HOP and name not in dropped and not name.startswith(_OWN_PREFIX)
    ]


def has_body(headers: Headers) -> bool:
    """Whether a request has a body, however long."""
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip() != b"0")
        for name, value in headers
    )


async def body_of(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Return the body as it arrives, still compressed."""
    async for part in response.content.iter_any():
        yield part


def _named_by_connection(headers: Headers) -> frozenset[bytes]:
    names = [value for name, value in headers if name == b"connection"]
    if not names or names == [b"keep-alive"]:
        return frozenset()
    return frozenset(part.strip().lower() for value in names for part in value.split(b","))
