"""The part of JSON Schema that `responseJsonSchema` may hold.

Its description in google-ai-generativelanguage lists the properties, and says that a `$ref` may
stand next to no property but those that begin with `$`. What it does not list is refused here.
"""

from collections.abc import Iterator, Mapping
from typing import Any

_TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
_SCHEMA = (dict, bool)
_SCHEMAS_BY_NAME = ("$defs", "properties")
_LISTS_OF_SCHEMAS = ("anyOf", "oneOf", "prefixItems")
_KINDS: dict[str, tuple[type, ...]] = {
    "$anchor": (str,),
    "$defs": (dict,),
    "$id": (str,),
    "$ref": (str,),
    "additionalProperties": _SCHEMA,
    "anyOf": (list,),
    "description": (str,),
    "enum": (list,),
    "format": (str,),
    "items": _SCHEMA,
    "maxItems": (int,),
    "maximum": (int, float),
    "minItems": (int,),
    "minimum": (int, float),
    "oneOf": (list,),
    "prefixItems": (list,),
    "properties": (dict,),
    "propertyOrdering": (list,),
    "required": (list,),
    "title": (str,),
    "type": (str, list),
}


def json_schema_violations(schema: object, where: str) -> Iterator[str]:
    """Return what the service does not know in a schema.

    Args:
        schema: The schema.
        where: Its name in the request.
    """
    if not isinstance(schema, dict):
        yield f"{where}: must be an object"
        return
    yield from _of(schema, where, schema)


def _of(schema: object, where: str, root: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        yield f"{where}: must be a schema"
        return
    wrong = [name for name, value in schema.items() if not _is_of_kind(name, value)]
    for name in wrong:
        problem = "value has the wrong type" if name in _KINDS else "property is not supported"
        yield f"{where}.{name}: {problem}"
    schema = {name: value for name, value in schema.items() if name not in wrong}
    yield from _of_names(schema, where, root)
    for keyword in _SCHEMAS_BY_NAME:
        for name, inner in schema.get(keyword, {}).items():
            yield from _of(inner, f"{where}.{keyword}[{name}]", root)
    for keyword in _LISTS_OF_SCHEMAS:
        for number, inner in enumerate(schema.get(keyword, ())):
            yield from _of(inner, f"{where}.{keyword}[{number}]", root)
    for keyword in ("items", "additionalProperties"):
        yield from _of(schema.get(keyword, True), f"{where}.{keyword}", root)


def _is_of_kind(name: str, value: object) -> bool:
    kinds = _KINDS.get(name, ())
    return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _of_names(schema: Mapping[str, Any], where: str, root: Mapping[str, Any]) -> Iterator[str]:
    """Return what is wrong with the types, references and names of properties in a schema."""
    given = schema.get("type", [])
    for kind in given if isinstance(given, list) else [given]:
        if kind not in _TYPES:
            yield f"{where}.type: there is no type {kind!r}"
    if "$ref" in schema:
        if any(not name.startswith("$") for name in schema):
            yield f"{where}: no other properties may be set next to $ref"
        if not _is_there(schema["$ref"], root):
            yield f"{where}.$ref: there is no {schema['$ref']!r}"
    for keyword in ("required", "propertyOrdering"):
        for name in schema.get(keyword, ()):
            if not isinstance(name, str):
                yield f"{where}.{keyword}: {name!r} is not a name"


def _is_there(reference: str, root: Mapping[str, Any]) -> bool:
    if reference == "#":
        return True
    start, *names = reference.split("/")
    found: Any = root
    for name in names:
        key = name.replace("~1", "/").replace("~0", "~")
        found = found.get(key) if isinstance(found, dict) else None
    return start == "#" and found is not None
