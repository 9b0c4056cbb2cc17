"""A reply's schema as the Gemini API takes it.

`responseSchema` has the fields of a published message and no others: the Gemini Developer API
refuses a request with any it does not know, such as `additionalProperties`. What that message
cannot say goes into `responseJsonSchema`, which takes a part of JSON Schema.

References:
    https://ai.google.dev/api/caching#Schema,
    https://ai.google.dev/gemini-api/docs/structured-output,
    https://github.com/googleapis/python-genai/issues/1815
"""

import functools
from collections.abc import Mapping
from typing import Any

import pydantic

# Of the message. `title` and `default` are left out: they say nothing to the model.
_KEPT = (
    "description", "format", "minItems", "maxItems", "minimum", "maximum", "minLength",
    "maxLength", "pattern", "required",
)  # fmt: skip
_FORMATS = {"enum", "date-time", "int32", "int64", "float", "double"}
_JSON_SCHEMA = (
    "$id", "$defs", "$ref", "$anchor", "type", "format", "description", "enum", "items",
    "prefixItems", "minItems", "maxItems", "minimum", "maximum", "anyOf", "oneOf", "properties",
    "additionalProperties", "required",
)  # fmt: skip
_BESIDE_REF = tuple(name for name in _JSON_SCHEMA if name.startswith("$"))


class _NotSaidError(Exception):
    """`responseSchema` has no way to say it."""


@functools.cache
def schema_field(model: type[pydantic.BaseModel]) -> tuple[str, dict[str, Any]]:
    """Return the field of `generationConfig` that holds a model's schema, and the schema.

    Returns:
        `responseSchema` or `responseJsonSchema`, and what goes into it.
    """
    schema = model.model_json_schema()
    try:
        return "responseSchema", _converted(schema, schema.get("$defs", {}), ())
    except _NotSaidError:
        return "responseJsonSchema", _trimmed(schema)


def _converted(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], inside: tuple[str, ...]
) -> dict[str, Any]:
    if reference := schema.get("$ref"):
        name = str(reference).rpartition("/")[2]
        if name in inside:
            raise _NotSaidError("a schema within itself")
        return _converted(definitions[name], definitions, (*inside, name))
    options = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if options:
        return _alternatives(schema, options, definitions, inside)
    kind = schema.get("type")
    if not isinstance(kind, str) or "prefixItems" in schema:
        raise _NotSaidError("a value of any type, or a tuple")
    converted: dict[str, Any] = {"type": kind.upper()}
    converted |= {name: schema[name] for name in _KEPT if name in schema}
    if converted.get("format") not in _FORMATS:
        converted.pop("format", None)
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if values and kind == "string":
        converted |= {"enum": values, "format": "enum"}
    if kind == "array":
        converted["items"] = _converted(schema.get("items", {}), definitions, inside)
    if kind == "object":
        if not schema.get("properties"):
            raise _NotSaidError("an object with any names")
        converted["properties"] = {
            name: _converted(inner, definitions, inside)
            for name, inner in schema["properties"].items()
        }
        converted["propertyOrdering"] = list(schema["properties"])
    return converted


def _alternatives(
    schema: Mapping[str, Any],
    options: list[Mapping[str, Any]],
    definitions: Mapping[str, Any],
    inside: tuple[str, ...],
) -> dict[str, Any]:
    described = {"description": schema["description"]} if "description" in schema else {}
    some = [option for option in options if option.get("type") != "null"]
    nullable: dict[str, Any] = {"nullable": True} if len(some) < len(options) else {}
    converted = [_converted(option, definitions, inside) for option in some]
    if len(converted) == 1:
        return converted[0] | described | nullable
    return {"anyOf": converted} | described | nullable


def _trimmed(schema: Any) -> Any:
    """Return a JSON Schema with the properties that the API takes; next to a `$ref`, few."""
    if not isinstance(schema, dict):
        return schema
    kept = _BESIDE_REF if "$ref" in schema else _JSON_SCHEMA
    trimmed: dict[str, Any] = {}
    for name in kept:
        value = schema.get(name)
        if value is None:
            continue
        if name in ("properties", "$defs"):
            value = {key: _trimmed(inner) for key, inner in value.items()}
        elif name in ("anyOf", "oneOf", "prefixItems"):
            value = [_trimmed(inner) for inner in value]
        elif name in ("items", "additionalProperties"):
            value = _trimmed(value)
        trimmed[name] = value
    if "const" in schema:
        trimmed["enum"] = [schema["const"]]
    return trimmed
