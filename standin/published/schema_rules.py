"""Rules of a Gemini request that its types do not say: its contents, its bounds and its schemas.

Sources: the fields' descriptions in google-ai-generativelanguage, and the services' answers in
https://github.com/googleapis/python-genai/issues/1815 and
https://github.com/googleapis/python-genai/issues/699. Where a description says that a property is
not supported, the stand-in refuses it; the service may ignore it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from standin.published.json_schema_rules import json_schema_violations

_ROLES = {"user", "model", "", None}
_BESIDE_DATA = {
    "thought", "thoughtSignature", "partMetadata", "videoMetadata", "mediaResolution",
    "speechMetadata",
}  # fmt: skip
_MIME_TYPES = (
    "text/plain", "application/json", "application/xml", "application/yaml", "text/x.enum",
)  # fmt: skip
_OF_SCHEMAS = ("application/json", "text/x.enum")
_BOUNDS = {
    "temperature": (0.0, 2.0),
    "topP": (0.0, 1.0),
    "candidateCount": (1, 8),
    "maxOutputTokens": (1, 2**31),
}
_MAX_STOP_SEQUENCES = 5


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
    for number, content in enumerate(body.get("contents") or ()):
        yield from _of_content(content, f"{message}.contents[{number}]")
    yield from _of_config(get(body, "generationConfig") or {}, f"{message}.generation_config")


def _of_content(content: Mapping[str, Any], where: str) -> Iterator[str]:
    if content.get("role") not in _ROLES:
        yield f"{where}.role: Please use a valid role: user, model."
    if not content.get("parts"):
        yield f"{where}.parts: contents.parts must not be empty."
    for number, part in enumerate(content.get("parts") or ()):
        given = {_camel(name) for name, value in part.items() if value is not None}
        if not given - _BESIDE_DATA:
            yield (
                f"{where}.parts[{number}].data: required oneof field 'data' must have one "
                "initialized field"
            )


def _of_config(config: Mapping[str, Any], where: str) -> Iterator[str]:
    schema, json_schema = get(config, "responseSchema"), get(config, "responseJsonSchema")
    mime_type = get(config, "responseMimeType")
    if mime_type and mime_type not in _MIME_TYPES:
        yield f"{where}.response_mime_type: allowed mimetypes are {', '.join(_MIME_TYPES)}."
    if (schema or json_schema) and mime_type not in _OF_SCHEMAS:
        yield (
            f"{where}.response_schema: only allowed with response_mime_type "
            f"{' or '.join(_OF_SCHEMAS)}"
        )
    if schema and json_schema:
        yield f"{where}: response_schema and response_json_schema cannot both be set"
    if schema:
        yield from _of_schema(schema, f"{where}.response_schema")
    if json_schema is not None:
        yield from json_schema_violations(json_schema, f"{where}.response_json_schema")
    for name, (least, most) in _BOUNDS.items():
        value = get(config, name)
        if value is not None and not least <= float(value) <= most:
            yield f"{where}.{_snake(name)}: {_snake(name)} must be in the range [{least}, {most}]"
    if len(get(config, "stopSequences") or ()) > _MAX_STOP_SEQUENCES:
        yield f"{where}.stop_sequences: only up to {_MAX_STOP_SEQUENCES} are supported"
    thinking = get(config, "thinkingConfig") or {}
    if None not in (get(thinking, "thinkingBudget"), get(thinking, "thinkingLevel")):
        yield f"{where}.thinking_config: only one of thinking_budget and thinking_level may be set"


def _of_schema(schema: Mapping[str, Any], where: str) -> Iterator[str]:
    kind = str(schema.get("type") or "").upper()
    properties = schema.get("properties") or {}
    if kind == "OBJECT" and not properties and not get(schema, "additionalProperties"):
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
    for number, inner in enumerate(get(schema, "anyOf") or ()):
        yield from _of_schema(inner, f"{where}.any_of[{number}]")
    if schema.get("items"):
        yield from _of_schema(schema["items"], f"{where}.items")


def get(values: Mapping[str, Any], name: str) -> Any:
    """Return a field by either of its two names."""
    return values.get(name, values.get(_snake(name)))


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))
