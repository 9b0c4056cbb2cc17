"""Writes the published request types of Google's and OpenAI's services as data files.

The sources are packages on PyPI that the project itself does not need, so they are brought in for
this run alone::

    uv run --no-project --with google-ai-generativelanguage \
        --with "google-api-python-client>=2.200" --with openai --with pydantic \
        python -m standin.published.generate

Every message that a request can hold is followed. What the packages do not have is in `additions`.
`standin.published.compare`, run likewise with the releases that the files name, writes nothing and
says whether this would write the same.
"""

import datetime
import importlib.metadata
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from standin.published.additions import (
    BATCH,
    LATER,
    OPENAI_BOUNDS,
    OPENAI_INNER_BOUNDS,
    PREDICT,
    Fields,
)

_FOLDER = Path(__file__).parent
_VERTEX_REQUESTS = (
    "BatchPredictionJob",
    "CountTokensRequest",
    "EmbedContentRequest",
    "GenerateContentRequest",
    "PredictRequest",
)
_SCALARS = {
    "TYPE_INT32": (5, 7, 13, 15, 17),
    "TYPE_INT64": (3, 4, 6, 16, 18),
    "TYPE_DOUBLE": (1,),
    "TYPE_FLOAT": (2,),
    "TYPE_BOOL": (8,),
    "TYPE_STRING": (9,),
    "TYPE_BYTES": (12,),
}
_DISCOVERY_SCALARS = {
    ("string", "int64"): "TYPE_INT64",
    ("string", "uint64"): "TYPE_INT64",
    ("string", "byte"): "TYPE_BYTES",
    ("integer", "int32"): "TYPE_INT32",
    ("integer", "uint32"): "TYPE_INT32",
    ("number", "float"): "TYPE_FLOAT",
    ("number", "double"): "TYPE_DOUBLE",
    ("boolean", None): "TYPE_BOOL",
}
# Messages that JSON has another form for: https://protobuf.dev/programming-guides/json
_WELL_KNOWN: dict[str, dict[str, Any]] = {
    "google.protobuf.Duration": {"type": "TYPE_STRING"},
    "google.protobuf.ListValue": {"repeated": True},
    "google.protobuf.Struct": {"type": "TYPE_STRUCT"},
    "google.protobuf.Timestamp": {"type": "TYPE_STRING"},
    "google.protobuf.Value": {},
    "google.protobuf.Any": {},
}


def main() -> None:
    """Write all files."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    for name, (_, make) in FILES.items():
        text = json.dumps({"date": today, **make()}, indent=1, sort_keys=True)
        (_FOLDER / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


def _source(package: str, rest: str = "") -> str:
    return f"https://pypi.org/project/{package}/{importlib.metadata.version(package)}/{rest}"


def _generative_language() -> dict[str, Any]:
    from google.ai import generativelanguage_v1beta as api

    package = "google.ai.generativelanguage.v1beta"
    messages: dict[str, Fields] = dict(BATCH)
    requests = (
        api.BatchEmbedContentsRequest,
        api.CountTokensRequest,
        api.CreateFileRequest,
        api.GenerateContentRequest,
    )
    waiting = [request.pb().DESCRIPTOR for request in requests]
    while waiting:
        descriptor = waiting.pop()
        name = descriptor.full_name.removeprefix(f"{package}.")
        if name in messages:
            continue
        messages[name] = {
            _camel(field.name.rstrip("_")): _described(field, package, waiting)
            for field in descriptor.fields
        }
    for name, fields in LATER.items():
        messages[name] |= fields
    return {
        "source": (
            f"{_source('google-ai-generativelanguage')}; batches: "
            "https://ai.google.dev/api/batch-api; thinkingLevel: "
            "https://ai.google.dev/api/generate-content#ThinkingConfig"
        ),
        "package": package,
        "messages": messages,
    }


def _described(field: Any, package: str, waiting: list[Any]) -> dict[str, Any]:
    """Describe a field; the messages that it leads to are added to `waiting`."""
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        return _described(inner.fields_by_name["value"], package, waiting) | {"map": True}
    described: dict[str, Any] = {"repeated": True} if field.is_repeated else {}
    group = field.containing_oneof
    if group is not None and not group.name.startswith("_"):  # those are of optional fields
        described["oneof"] = group.name
    if inner is not None:
        if (known := _WELL_KNOWN.get(inner.full_name)) is not None:
            return described | known
        waiting.append(inner)
        return described | {"message": inner.full_name.removeprefix(f"{package}.")}
    if field.enum_type is not None:
        values = [value.name for value in field.enum_type.values]
        return described | {"enum": values, "type": field.enum_type.name}
    kinds = [name for name, numbers in _SCALARS.items() if field.type in numbers]
    return described | {"type": kinds[0]}


def _vertex(version: str) -> dict[str, Any]:
    import googleapiclient

    folder = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
    document = json.loads((folder / f"aiplatform.{version}.json").read_text(encoding="utf-8"))
    prefix = f"GoogleCloudAiplatform{version.capitalize()}"
    messages: dict[str, Fields] = {}
    waiting = list(_VERTEX_REQUESTS)
    while waiting:
        name = waiting.pop()
        known = document["schemas"].get(prefix + name) or document["schemas"].get(name)
        if name not in messages and known:
            messages[name] = {
                field: _of_discovery(value, prefix, waiting)
                for field, value in known.get("properties", {}).items()
            }
    for name, fields in PREDICT.items():
        messages[name] = messages.get(name, {}) | fields
    return {
        "source": (
            f"{_source('google-api-python-client', f'discovery_cache/aiplatform.{version}.json')}; "
            "text embeddings: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/"
            "model-reference/text-embeddings-api"
        ),
        "revision": document["revision"],
        "package": f"google.cloud.aiplatform.{version}",
        "messages": messages,
    }


def _of_discovery(value: dict[str, Any], prefix: str, waiting: list[str]) -> dict[str, Any]:
    if value.get("type") == "array":
        return _of_discovery(value["items"], prefix, waiting) | {"repeated": True}
    if value.get("type") == "object" and "additionalProperties" in value:
        return _of_discovery(value["additionalProperties"], prefix, waiting) | {"map": True}
    if "$ref" in value:
        name = value["$ref"].removeprefix(prefix)
        waiting.append(name)
        return {"message": name}
    if "enum" in value:
        return {"enum": value["enum"], "type": "enum"}
    if value["type"] in ("any", "object"):
        return {}
    plain = _DISCOVERY_SCALARS.get((value["type"], value.get("format")), "TYPE_STRING")
    return {"type": plain}


def _openai() -> dict[str, Any]:
    import pydantic
    from openai.types import embedding_create_params
    from openai.types.chat import completion_create_params

    types = {
        "chat/completions": completion_create_params.CompletionCreateParamsNonStreaming,
        "embeddings": embedding_create_params.EmbeddingCreateParams,
    }
    return {
        "source": f"{_source('openai')} (written from https://github.com/openai/openai-openapi, "
        "where the bounds are from)",
        "requests": {
            path: _bounded(path, _closed(pydantic.TypeAdapter(params).json_schema()))
            for path, params in types.items()
        },
    }


def _bounded(path: str, schema: Any) -> Any:
    """Return a request's JSON Schema with the bounds of its values; a reply may be streamed."""
    if "stream" in schema["properties"]:
        schema["properties"]["stream"] = {"anyOf": [{"type": "boolean"}, {"type": "null"}]}
    for name, bounds in OPENAI_BOUNDS[path].items():
        schema["properties"][name] |= bounds
    for kind, properties in OPENAI_INNER_BOUNDS.items():
        for name, bounds in properties.items() if kind in schema.get("$defs", {}) else ():
            schema["$defs"][kind]["properties"][name] |= bounds
    return schema


def _closed(schema: Any) -> Any:
    """Return a JSON Schema without titles and texts, whose objects have no other properties."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {
        key: {name: _closed(inner) for name, inner in value.items()}
        if key in ("properties", "$defs")
        else _closed(value)
        for key, value in schema.items()
        if not (key in ("title", "description", "default") and isinstance(value, str))
    }
    if "properties" in closed:
        closed["additionalProperties"] = False
    return closed


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


# By the name of the file: the package on PyPI that it is written from, and what it holds.
FILES: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
    "generativelanguage_v1beta": ("google-ai-generativelanguage", _generative_language),
    "aiplatform_v1": ("google-api-python-client", lambda: _vertex("v1")),
    "aiplatform_v1beta1": ("google-api-python-client", lambda: _vertex("v1beta1")),
    "openai": ("openai", _openai),
}


if __name__ == "__main__":
    main()
