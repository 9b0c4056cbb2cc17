"""What the services would refuse in a request, for the servers of the tests."""

import functools
import json
import os
import re
from pathlib import Path

from standin.errors import HttpError
from standin.published.google_types import check_google
from standin.published.openai_types import check_openai
from standin.refusals import REFUSALS_VARIABLE

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
_VERTEX_JOBS = re.compile(r".*?/(v1|v1beta1)/projects/[^/]+/locations/[^/]+/batchPredictionJobs")
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


def note(refusal: str | None) -> None:
    """Write down a request that no service would take: the test that sent it fails at its end."""
    if refusal is not None:
        with open(os.environ[REFUSALS_VARIABLE], "a", encoding="utf-8") as file:
            file.write(f"{' '.join(refusal.split())}\n")


class Refusals:
    """The requests that servers of this process and of those that it started have refused.

    Those of the stand-in and of the tests' own servers; `tests/conftest.py` reads them.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "refusals.txt"
        self._file.touch()
        self._read = 0
        os.environ[REFUSALS_VARIABLE] = str(self._file)

    def new(self) -> list[str]:
        """Return those since the last call."""
        with self._file.open(encoding="utf-8") as file:
            file.seek(self._read)
            lines = file.read().splitlines()
            self._read = file.tell()
        return lines

    def complaint(self, *, are_meant: bool) -> str | None:
        """Return what is wrong with the test that ends now; None where nothing is.

        Args:
            are_meant: Whether it sends such requests on purpose.
        """
        refused = self.new()
        if are_meant and not refused:
            return "No request was refused: take the mark `unpublished` away."
        if refused and not are_meant:
            return "\n".join(
                ["To send such requests on purpose, mark the test `unpublished`:", *refused]
            )
        return None


def _check(path: str, body: object) -> None:
    if found := _OPENAI.fullmatch(path):
        check_openai(found[1], body)
    elif found := _VERTEX.fullmatch(path):
        check_google(f"aiplatform_{found[1]}", _message(found[2]), body)
    elif found := _VERTEX_JOBS.fullmatch(path):
        check_google(f"aiplatform_{found[1]}", "BatchPredictionJob", body)
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
