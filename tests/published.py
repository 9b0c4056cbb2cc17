"""What the services would refuse in a request, for the servers of the tests."""

import functools
import json
import re

from standin.errors import HttpError
from standin.published.google_types import check_google
from standin.published.openai_types import check_openai

_MESSAGES = {
    "batchEmbedContents": "BatchEmbedContentsRequest",
    "batchGenerateContent": "BatchGenerateContentRequest",
    "countTokens": "CountTokensRequest",
    "embedContent": "EmbedContentRequest",
    "generateContent": "GenerateContentRequest",
    "predict": "PredictRequest",
    "streamGenerateContent": "GenerateContentRequest",
}
# Behind any prefix: gateways, and servers of OpenAI's protocol, have their own.
_OPENAI = re.compile(r".*?/(chat/completions|embeddings)")
_VERTEX = re.compile(r".*?/(v1|v1beta1)/projects/.+/models/[^/:]+:(\w+)")
_STUDIO = re.compile(r".*?/v1(?:beta|alpha)?/models/[^/:]+:(\w+)")
_UPLOAD = re.compile(r".*?/upload/v1(?:beta)?/files")


@functools.lru_cache(maxsize=1024)
def refusal_of(path: str, raw: bytes) -> str | None:
    """Return why the services would refuse a request that is posted; None where they would not.

    Args:
        path: Where it goes; the query is ignored.
        raw: The body.
    """
    try:
        _check(path.partition("?")[0], json.loads(raw or b"{}"))
    except HttpError as error:
        return f"{path}: {error.message}"
    except ValueError as error:
        return f"{path}: the body is not JSON: {error}"
    return None


def _check(path: str, body: object) -> None:
    if found := _OPENAI.fullmatch(path):
        check_openai(found[1], body)
    elif found := _VERTEX.fullmatch(path):
        check_google(f"aiplatform_{found[1]}", _message(found[2]), body)
    elif found := _STUDIO.fullmatch(path):
        check_google("generativelanguage_v1beta", _message(found[1]), body)
    elif _UPLOAD.fullmatch(path):
        check_google("generativelanguage_v1beta", "CreateFileRequest", body)
    else:
        raise HttpError(404, "NOT_FOUND", "no service publishes this path")


def _message(method: str) -> str:
    if method not in _MESSAGES:
        raise HttpError(404, "NOT_FOUND", f"no service publishes the method {method}")
    return _MESSAGES[method]
