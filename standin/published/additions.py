"""What the published types are completed with when the data files are written: see `generate`."""

from typing import Any

Fields = dict[str, dict[str, Any]]

# No package on PyPI has the messages of the Batch API: https://ai.google.dev/api/batch-api
BATCH: dict[str, Fields] = {
    "BatchGenerateContentRequest": {"batch": {"message": "GenerateContentBatch"}},
    "GenerateContentBatch": {
        "model": {"type": "TYPE_STRING"},
        "name": {"type": "TYPE_STRING"},
        "displayName": {"type": "TYPE_STRING"},
        "inputConfig": {"message": "InputConfig"},
        "priority": {"type": "TYPE_INT64"},
    },
    "InputConfig": {
        "fileName": {"oneof": "source", "type": "TYPE_STRING"},
        "requests": {"message": "InlinedRequests", "oneof": "source"},
    },
    "InlinedRequests": {"requests": {"message": "InlinedRequest", "repeated": True}},
    "InlinedRequest": {
        "request": {"message": "GenerateContentRequest"},
        "metadata": {"type": "TYPE_STRUCT"},
    },
}
# What `instances` and `parameters` hold for a text embedding model; the document has `any` there:
# https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
PREDICT: dict[str, Fields] = {
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
LATER: dict[str, Fields] = {
    "ThinkingConfig": {
        "thinkingLevel": {
            "enum": ["THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH"],
            "type": "ThinkingLevel",
        }
    }
}
_NAME = {"pattern": "^[a-zA-Z0-9_-]+$", "maxLength": 64}
_TOKENS = {"minimum": 1}  # "integer below minimum value. Expected a value >= 1"
# The package has types alone. The bounds, and the form of a name that a description gives, are from
# https://github.com/openai/openai-openapi/blob/f85dbe2/openapi.json
OPENAI_BOUNDS: dict[str, dict[str, dict[str, Any]]] = {
    "chat/completions": {
        "frequency_penalty": {"minimum": -2, "maximum": 2},
        "functions": {"minItems": 1, "maxItems": 128},
        "max_completion_tokens": _TOKENS,
        "max_tokens": _TOKENS,
        "messages": {"minItems": 1},
        "n": {"minimum": 1, "maximum": 128},
        "presence_penalty": {"minimum": -2, "maximum": 2},
        "safety_identifier": {"maxLength": 64},
        "seed": {"minimum": -(2**63), "maximum": 2**63 - 1},
        "stop": {"minItems": 1, "maxItems": 4},
        "temperature": {"minimum": 0, "maximum": 2},
        "top_logprobs": {"minimum": 0, "maximum": 20},
        "top_p": {"minimum": 0, "maximum": 1},
    },
    "embeddings": {
        "dimensions": {"minimum": 1},
        "input": {"minItems": 1, "maxItems": 2048},
    },
}
# By the name of the type: the property, and what holds for it.
OPENAI_INNER_BOUNDS: dict[str, dict[str, dict[str, Any]]] = {
    "FunctionDefinition": {"name": _NAME},
    "JSONSchema": {"name": _NAME},
}
