"""Rules of the two schema fields of a Gemini request that their types do not say.

Sources: the fields' descriptions in google-ai-generativelanguage, and the services' answers in
https://github.com/googleapis/python-genai/issues/1815 and
https://github.com/googleapis/python-genai/issues/699. Where a description says that a property is
not supported, the stand-in refuses it; the service may ignore it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

_JSON_SCHEMA_PROPERTIES = {
    "$id", "$defs", "$ref", "$anchor", "type", "format", "title", "description", "enum", "items",
    "prefixItems", "minItems", "maxItems", "minimum", "maximum", "anyOf", "oneOf", "properties",
    "additionalProperties", "required", "propertyOrdering",
}  # fmt: skip
_JSON = "application/json"
_MOST_TEMPERATURE = 2.0


def schema_violations(message: str, body: Mapping[str, Any]) -> Iterator[str]:
    """Return what breaks the rules in a request whose fields are all known.

    Args:
        message: The published message; only `GenerateContentRequest` has such rules.
        body: The request.
    """
    if message != "GenerateContentRequest":
        return
    if not body.get("contents"):
        yield f"{message}.contents: contents is not specified"
    config = _get(body, "generationConfig") or {}
    where = f"{message}.generation_config"
    schema, json_schema = _get(config, "responseSchema"), _get(config, "responseJsonSchema")
    if (schema or json_schema) and _get(config, "responseMimeType") != _JSON:
        yield f"{where}.response_schema: only allowed with response_mime_type {_JSON}"
    if schema and json_schema:
        yield f"{where}: response_schema and response_json_schema cannot both be set"
    if schema:
        yield from _of_schema(schema, f"{where}.response_schema")
    if json_schema:
        yield from _of_json_schema(json_schema, f"{where}.response_json_schema")
    temperature = float(config.get("temperature") or 0)
    if not 0 <= temperature <= _MOST_TEMPERATURE:
        yield f"{where}.temperature: temperature must be in the range [0.0, {_MOST_TEMPERATURE}]"
    thinking = _get(config, "thinkingConfig") or {}
    if None not in (_get(thinking, "thinkingBudget"), _get(thinking, "thinkingLevel")):
        yield f"{where}.thinking_config: only one of thinking_budget and thinking_level may be set"


def _of_schema(schema: Mapping[str, Any], where: str) -> Iterator[str]:
    kind = str(schema.get("type") or "").upper()
    properties = schema.get("properties") or {}
    if kind == "OBJECT" and not properties and not _get(schema, "additionalProperties"):
        yield f"{where}.properties: should be non-empty for OBJECT type"
    if kind == "ARRAY" and not schema.get("items"):
        yield f"{where}.items: missing field."
    if schema.get("enum") and kind != "STRING":
        yield f"{where}.enum: only allowed for STRING type"
    for number, name in enumerate(schema.get("required") or ()):
        if name not in properties:
            yield f"{where}.required[{number}]: property is not defined"
    for name, inner in properties.items():
        yield from _of_schema(inner, f"{where}.properties[{name}]")
    for number, inner in enumerate(_get(schema, "anyOf") or ()):
        yield from _of_schema(inner, f"{where}.any_of[{number}]")
    if schema.get("items"):
        yield from _of_schema(schema["items"], f"{where}.items")


def _of_json_schema(schema: Any, where: str) -> Iterator[str]:
    if not isinstance(schema, dict):
        return
    for name in sorted(set(schema) - _JSON_SCHEMA_PROPERTIES):
        yield f"{where}.{name}: property is not supported"
    if "$ref" in schema and any(not name.startswith("$") for name in schema):
        yield f"{where}: no other properties may be set beside $ref"
    for keyword in ("properties", "$defs"):
        for name, inner in (schema.get(keyword) or {}).items():
            yield from _of_json_schema(inner, f"{where}.{keyword}[{name}]")
    for keyword in ("anyOf", "oneOf", "prefixItems"):
        for number, inner in enumerate(schema.get(keyword) or ()):
            yield from _of_json_schema(inner, f"{where}.{keyword}[{number}]")
    yield from _of_json_schema(schema.get("items"), f"{where}.items")


def _get(values: Mapping[str, Any], name: str) -> Any:
    """Return a field by either of its two names."""
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    return values.get(name, values.get(snake))
