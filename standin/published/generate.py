"""Writes the published request types of Google's and OpenAI's services as data files.

The sources are packages on PyPI that the project itself does not need, so they are brought in for
this run alone::

    uv run --no-project --with google-ai-generativelanguage --with google-api-python-client \
        --with openai --with pydantic python standin/published/generate.py

Only the messages that this project's requests are made of are followed; the fields of all others
are kept by name, without their types.
"""

import datetime
import importlib.metadata
import json
from pathlib import Path
from typing import Any

Fields = dict[str, dict[str, Any]]
_FOLDER = Path(__file__).parent
_FOLLOWED = {
    "BatchEmbedContentsRequest",
    "Content",
    "EmbedContentRequest",
    "GenerateContentRequest",
    "GenerationConfig",
    "Part",
    "Schema",
    "ThinkingConfig",
}
_SCALARS = {
    "TYPE_INT32": (3, 5, 13, 15, 17),
    "TYPE_INT64": (4, 6, 16, 18),
    "TYPE_DOUBLE": (1,),
    "TYPE_FLOAT": (2,),
    "TYPE_BOOL": (8,),
    "TYPE_STRING": (9,),
    "TYPE_BYTES": (12,),
}
_DISCOVERY_SCALARS = {
    ("string", "int64"): "TYPE_INT64",
    ("string", "byte"): "TYPE_BYTES",
    ("integer", "int32"): "TYPE_INT32",
    ("number", "float"): "TYPE_FLOAT",
    ("number", "double"): "TYPE_DOUBLE",
    ("boolean", None): "TYPE_BOOL",
}
# No package on PyPI has the messages of the Batch API: https://ai.google.dev/api/batch-api
_BATCH: dict[str, Fields] = {
    "BatchGenerateContentRequest": {"batch": {"message": "GenerateContentBatch"}},
    "GenerateContentBatch": {
        "model": {"type": "TYPE_STRING"},
        "name": {"type": "TYPE_STRING"},
        "displayName": {"type": "TYPE_STRING"},
        "inputConfig": {"message": "InputConfig"},
        "priority": {"type": "TYPE_INT64"},
    },
    "InputConfig": {
        "fileName": {"type": "TYPE_STRING"},
        "requests": {"message": "InlinedRequests"},
    },
    "InlinedRequests": {"requests": {"message": "InlinedRequest", "repeated": True}},
    "InlinedRequest": {"request": {"message": "GenerateContentRequest"}, "metadata": {}},
}
# What `instances` and `parameters` hold for a text embedding model; the document has `any` there:
# https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
_PREDICT: dict[str, Fields] = {
    "PredictRequest": {
        "instances": {"message": "TextEmbeddingInstance", "repeated": True},
        "parameters": {"message": "TextEmbeddingParameters"},
    },
    "TextEmbeddingInstance": {
        "content": {"type": "TYPE_STRING"},
        "taskType": {"type": "TYPE_STRING"},
        "title": {"type": "TYPE_STRING"},
    },
    "TextEmbeddingParameters": {
        "autoTruncate": {"type": "TYPE_BOOL"},
        "outputDimensionality": {"type": "TYPE_INT32"},
    },
}
# In the API's reference, and not yet in the package:
# https://ai.google.dev/api/generate-content#ThinkingConfig
_LATER: dict[str, Fields] = {
    "ThinkingConfig": {
        "thinkingLevel": {
            "enum": ["THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH"],
            "type": "ThinkingLevel",
        }
    }
}


def main() -> None:
    """Write all files."""
    _write("generativelanguage_v1beta.json", _generative_language())
    for version in ("v1", "v1beta1"):
        _write(f"aiplatform_{version}.json", _vertex(version))
    _write("openai.json", _openai())


def _write(name: str, data: dict[str, Any]) -> None:
    data = {"date": datetime.datetime.now(datetime.UTC).date().isoformat(), **data}
    (_FOLDER / name).write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _source(package: str, rest: str = "") -> str:
    return f"https://pypi.org/project/{package}/{importlib.metadata.version(package)}/{rest}"


def _generative_language() -> dict[str, Any]:
    from google.ai import generativelanguage_v1beta as api

    messages: dict[str, Fields] = dict(_BATCH)
    waiting = [
        api.GenerateContentRequest.pb().DESCRIPTOR,
        api.BatchEmbedContentsRequest.pb().DESCRIPTOR,
    ]
    while waiting:
        descriptor = waiting.pop()
        if descriptor.name in messages:
            continue
        messages[descriptor.name] = fields = {}
        for field in descriptor.fields:
            name = _camel(field.name.rstrip("_"))
            fields[name] = _described(field)
            inner = field.message_type
            if inner is not None and inner.GetOptions().map_entry:
                inner = inner.fields_by_name["value"].message_type
            if inner is not None and inner.name in _FOLLOWED:
                waiting.append(inner)
    for name, fields in _LATER.items():
        messages[name] |= fields
    return {
        "source": (
            f"{_source('google-ai-generativelanguage')}; batches: "
            "https://ai.google.dev/api/batch-api; thinkingLevel: "
            "https://ai.google.dev/api/generate-content#ThinkingConfig"
        ),
        "package": "google.ai.generativelanguage.v1beta",
        "messages": messages,
    }


def _described(field: Any) -> dict[str, Any]:
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        return _described(inner.fields_by_name["value"]) | {"map": True}
    described: dict[str, Any] = {"repeated": True} if field.is_repeated else {}
    if inner is not None:
        return described | ({"message": inner.name} if inner.name in _FOLLOWED else {})
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
    thinking = "GenerationConfigThinkingConfig"
    embedding = "EmbedContentRequestEmbedContentConfig"
    followed = _FOLLOWED - {"BatchEmbedContentsRequest", "ThinkingConfig"}
    followed |= {thinking, embedding, "PredictRequest"}
    messages: dict[str, Fields] = {}
    for name in sorted(followed):
        properties = document["schemas"].get(prefix + name, {}).get("properties", {})
        messages[name] = {
            field: _of_discovery(value, prefix, followed) for field, value in properties.items()
        }
    for name, fields in _PREDICT.items():
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


def _of_discovery(value: dict[str, Any], prefix: str, followed: set[str]) -> dict[str, Any]:
    if value.get("type") == "array":
        return _of_discovery(value["items"], prefix, followed) | {"repeated": True}
    if value.get("type") == "object" and "additionalProperties" in value:
        return _of_discovery(value["additionalProperties"], prefix, followed) | {"map": True}
    if "$ref" in value:
        name = value["$ref"].removeprefix(prefix)
        return {"message": name} if name in followed else {}
    if "enum" in value:
        return {"enum": value["enum"], "type": "enum"}
    if value["type"] == "any":
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
        "source": f"{_source('openai')} (written from https://github.com/openai/openai-openapi)",
        "requests": {
            path: _closed(pydantic.TypeAdapter(params).json_schema())
            for path, params in types.items()
        },
    }


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


if __name__ == "__main__":
    main()
