"""The paths that the stand-in serves, as the services have them.

References:
    https://ai.google.dev/api, https://ai.google.dev/api/batch-api, https://ai.google.dev/api/files,
    https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.publishers.models,
    https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.batchPredictionJobs,
    https://cloud.google.com/storage/docs/json_api/v1/objects,
    https://platform.openai.com/docs/api-reference/chat
"""

import re
from typing import Literal, NamedTuple

from standin.errors import HttpError

Kind = Literal[
    "generate", "batch", "embed", "embed one", "predict", "jobs", "job", "start upload", "upload",
    "file", "prediction job", "prediction jobs", "new prediction job", "object", "objects",
    "new object", "old object", "bucket",
]  # fmt: skip
_STUDIO = "generativelanguage_v1beta"
# google-genai 3 asks /v1, whose published types lag behind: those of v1beta are held there, too.
_VERSION = r"/v1(?:beta)?"
_MODEL = r"models/(?P<name>[^/:]+)"
_PLACE = r"projects/[^/]+/locations/[^/]+"
_VERTEX = rf"/(?P<version>v1|v1beta1)/{_PLACE}/publishers/google/{_MODEL}"
_JOBS = rf"/(?P<version>v1|v1beta1)/(?P<name>{_PLACE})/batchPredictionJobs"
_JOB = rf"/(?P<version>v1|v1beta1)/(?P<name>{_PLACE}/batchPredictionJobs/[^/:]+)"
_BUCKET = r"/storage/v1/b/(?P<name>[^/]+)"
_OBJECT = r"/storage/v1/b/(?P<name>[^/]+/o/[^/]+)"
_POST: tuple[tuple[str, Kind], ...] = (
    (rf"{_VERSION}/{_MODEL}:generateContent", "generate"),
    (rf"{_VERSION}/{_MODEL}:batchGenerateContent", "batch"),
    (rf"{_VERSION}/{_MODEL}:batchEmbedContents", "embed"),
    (rf"{_VERTEX}:generateContent", "generate"),
    (rf"{_VERTEX}:embedContent", "embed one"),
    (rf"{_VERTEX}:predict", "predict"),
    (r"(?P<openai>)/v1/chat/completions", "generate"),
    (r"(?P<openai>)/v1/embeddings", "embed"),
    (rf"/upload{_VERSION}/files", "start upload"),
    (rf"/upload{_VERSION}/files/(?P<name>[^/:]+)", "upload"),
    (_JOBS, "new prediction job"),
    (rf"/upload{_BUCKET}/o", "new object"),
)
_GET: tuple[tuple[str, Kind], ...] = (
    (rf"{_VERSION}/batches", "jobs"),
    (rf"{_VERSION}/(?P<name>batches/[^/:]+)", "job"),
    (rf"{_VERSION}/(?P<name>files/[^/:]+):download", "file"),
    (_JOBS, "prediction jobs"),
    (_JOB, "prediction job"),
    (_BUCKET, "bucket"),  # which newer clients ask for besides all else
    (rf"{_BUCKET}/o", "objects"),
    (rf"/download{_OBJECT}", "object"),
)
_DELETE: tuple[tuple[str, Kind], ...] = ((_OBJECT, "old object"),)
_PATTERNS = {"POST": _POST, "GET": _GET, "DELETE": _DELETE}
_OF_STORAGE = {"object", "objects", "new object", "old object", "bucket"}


class Route(NamedTuple):
    """What a path asks for.

    Attributes:
        kind: What is to be done.
        name: The model, job, file, place, bucket or object; empty where the body says it.
        api: `openai`, or the published types of Google's API.
        is_vertex: Whether it is a path of Vertex AI.
    """

    kind: Kind
    name: str
    api: str
    is_vertex: bool

    @property
    def is_storage(self) -> bool:
        """Whether it is a path of Cloud Storage."""
        return self.kind in _OF_STORAGE

    @property
    def is_openai(self) -> bool:
        """Whether errors are answered in OpenAI's form."""
        return self.api == "openai"


def find_route(method: str, path: str) -> Route:
    """Return the route of a request.

    Raises:
        HttpError: There is none.
    """
    for pattern, kind in _PATTERNS[method]:
        if found := re.fullmatch(pattern, path):
            groups = found.groupdict()
            version = groups.get("version")
            api = f"aiplatform_{version}" if version else _STUDIO
            if groups.get("openai") is not None:
                api = "openai"
            return Route(kind, groups.get("name") or "", api, is_vertex=version is not None)
    raise HttpError(
        404,
        "NOT_FOUND",
        "The stand-in serves /v1beta/models/NAME:generateContent, :batchGenerateContent and "
        ":batchEmbedContents, Vertex AI's /v1/projects/P/locations/L/publishers/google/models/NAME"
        ":generateContent, :embedContent and :predict and its batchPredictionJobs, "
        f"/v1/chat/completions and /v1/embeddings, not {method} {path}.",
    )
