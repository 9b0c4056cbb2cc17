"""The protocols that the gateway speaks: which request is one for an answer, and in which form."""

import re
from typing import Final

from serving.gateway.protocols.base import Dialect, Route, StreamForm
from serving.gateway.protocols.gemini import Gemini
from serving.gateway.protocols.openai import OpenAI

_VERB = r":(?P<verb>generateContent|streamGenerateContent)"
_GEMINI = re.compile(rf"/v1(?:alpha|beta)?/(?P<model>(?:models|tunedModels)/[^/:]+){_VERB}")
_VERTEX = re.compile(
    r"/v1(?:beta1)?/(?:projects/[^/]+/locations/[^/]+/)?"
    rf"(?P<model>publishers/google/models/[^/:]+|endpoints/[^/:]+){_VERB}"
)
_OPENAI = re.compile(
    r"(?:/v1|/v1beta/openai|/v1(?:beta1)?/projects/[^/]+/locations/[^/]+/endpoints/[^/]+)?"
    r"/chat/completions"
)
_OPENAI_AT_GOOGLE = ("/openai/", "/endpoints/openapi/")
_GOOGLES = ("/v1beta/", "/v1alpha/", "/v1beta1/", "/v1/projects/", "/upload/", "/ws/google.")
GEMINI: Final = Gemini("gemini")
VERTEX: Final = Gemini("vertex")
OPENAI: Final = OpenAI()


def recognize(method: str, path: str, query: bytes) -> Route | None:
    """Return the route of a request for an answer; None for all others, which only pass through.

    Args:
        method: HTTP method.
        path: Decoded path.
        query: The query string.
    """
    if method != "POST":
        return None
    if found := _GEMINI.fullmatch(path):
        return _gemini_route(GEMINI, found, query)
    if found := _VERTEX.fullmatch(path):
        return _gemini_route(VERTEX, found, query)
    if _OPENAI.fullmatch(path):
        return Route(OPENAI, "", None)
    return None


def dialect_of(path: str, *, is_openai_client: bool) -> Dialect:
    """In whose form an error about a path is best written, whether or not it is for an answer.

    Args:
        path: Decoded path.
        is_openai_client: See `Upstream.url`.
    """
    if any(part in path for part in _OPENAI_AT_GOOGLE):
        return OPENAI
    return OPENAI if is_openai_client and not _is_googles(path) else GEMINI


def _is_googles(path: str) -> bool:
    return path == "/" or path.startswith(_GOOGLES) or ":" in path


def _gemini_route(dialect: Gemini, found: re.Match[str], query: bytes) -> Route:
    model = found["model"].rpartition("/")[2]
    if found["verb"] == "generateContent":
        return Route(dialect, model, None)
    is_sse = b"alt=sse" in query.lower().split(b"&")
    return Route(dialect, model, StreamForm.SSE if is_sse else StreamForm.ARRAY)
