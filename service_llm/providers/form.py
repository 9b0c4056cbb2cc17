"""Describes the form of a reply in the prompt, where no schema can accompany it."""

import functools
import json

import pydantic

_FORM = "\n\nReply with one JSON object that matches this JSON Schema, and nothing else:\n"


def with_form(prompt: str, schema: type[pydantic.BaseModel]) -> str:
    """Return a prompt that ends with the schema of the reply."""
    return prompt + _FORM + _schema_text(schema)


@functools.cache
def _schema_text(schema: type[pydantic.BaseModel]) -> str:
    return json.dumps(schema.model_json_schema(), ensure_ascii=False)
