"""Checks a request against Google's published messages, and answers as Google's front end does.

Names may come in lowerCamelCase or as in the message's definition, numbers as strings, enumerations
by name or number: https://protobuf.dev/programming-guides/json
"""

import functools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from standin.errors import HttpError
from standin.published.schema_rules import schema_violations

_BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?|NaN|-?Infinity")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
_WHOLE_TYPES = {"TYPE_INT32": 2**31, "TYPE_INT64": 2**63}
_NUMBER_TYPES = {"TYPE_FLOAT", "TYPE_DOUBLE"}


class Violation(NamedTuple):
    """One thing that is wrong with a request.

    Attributes:
        field: Where, in the names of the message's definition; empty for the request itself.
        description: What.
    """

    field: str
    description: str


def check_google(api: str, message: str, body: object) -> None:
    """Refuse a request that is not of a published message.

    Args:
        api: Name of the data file, such as `generativelanguage_v1beta`.
        message: The message, such as `GenerateContentRequest`.
        body: The request.

    Raises:
        HttpError: 400 with the field violations that the service would send.
    """
    published = load(api)
    found = list(_Walk(published["package"], published["messages"]).message(message, "", body))
    if found:
        raise _bad_request("\n".join(one.description for one in found), found)
    rules = list(schema_violations(message, body)) if isinstance(body, Mapping) else []
    if rules:
        raise _bad_request("".join(f"* {rule}\n" for rule in rules), [])


@functools.cache
def load(name: str) -> Mapping[str, Any]:
    """Return a data file of this folder."""
    path = Path(__file__).with_name(f"{name}.json")
    data: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data


def _bad_request(text: str, found: list[Violation]) -> HttpError:
    violations = [
        {"field": one.field, "description": one.description}
        if one.field
        else {"description": one.description}
        for one in found
    ]
    details = [{"@type": _BAD_REQUEST, "fieldViolations": violations}] if found else []
    return HttpError(400, "INVALID_ARGUMENT", text, details=details)


class _Walk:
    """Goes through a request along the messages' definitions."""

    def __init__(self, package: str, messages: Mapping[str, Any]) -> None:
        self._package = package
        self._messages = messages

    def message(self, name: str, path: str, value: object) -> Iterator[Violation]:
        if not isinstance(value, dict):
            full = name if name.startswith("google.") else f"{self._package}.{name}"
            yield self._invalid(path, f"type.googleapis.com/{full}", value)
            return
        fields = self._messages[name]
        taken: set[str] = set()
        for given, inner in value.items():
            field = fields.get(_camel(given))
            if field is None:
                where = f" at '{path}'" if path else ""
                text = f'Unknown name "{given}"{where}: Cannot find field.'
                yield Violation(path, f"Invalid JSON payload received. {text}")
            elif inner is not None:
                group = field.get("oneof", given)
                if group in taken:
                    text = f"oneof field '{group}' is already set. Cannot set '{_camel(given)}'"
                    yield Violation(path, f"Invalid value at '{path}' (oneof), {text}")
                taken.add(group)
                yield from self._field(field, _join(path, _snake(given)), inner)

    def _field(self, field: Mapping[str, Any], path: str, value: object) -> Iterator[Violation]:
        if field.get("map"):
            if not isinstance(value, dict):
                yield self._invalid(path, "Map", value)
                return
            for number, inner in enumerate(value.values()):
                yield from self._one(field, f"{path}[{number}].value", inner)
        elif field.get("repeated"):
            if not isinstance(value, list):
                yield self._invalid(path, "repeated", value)
                return
            for number, inner in enumerate(value):
                yield from self._one(field, f"{path}[{number}]", inner)
        elif isinstance(value, list) and ("type" in field or "message" in field):
            yield Violation(
                path,
                "Invalid JSON payload received. Unknown name "
                f"\"{path.rpartition('.')[2]}\" at '{path.rpartition('.')[0]}': Proto field is not "
                "repeating, cannot start list.",
            )
        else:
            yield from self._one(field, path, value)

    def _one(self, field: Mapping[str, Any], path: str, value: object) -> Iterator[Violation]:
        if "message" in field:
            yield from self.message(field["message"], path, value)
        elif "enum" in field:
            if not _is_one_of(field["enum"], value):
                kind = f"type.googleapis.com/{self._package}.{field['type']}"
                yield self._invalid(path, kind, value)
        elif "type" in field and not _is_of(field["type"], value):
            yield self._invalid(path, field["type"], value)

    @staticmethod
    def _invalid(path: str, kind: str, value: object) -> Violation:
        return Violation(path, f"Invalid value at '{path}' ({kind}), {json.dumps(value)[:200]}")


def _is_one_of(names: list[str], value: object) -> bool:
    if isinstance(value, str):
        return value.upper() in {name.upper() for name in names}
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names)


def _is_of(kind: str, value: object) -> bool:
    if kind == "TYPE_BOOL":
        return isinstance(value, bool)
    if kind == "TYPE_STRUCT":
        return isinstance(value, dict)
    if kind in _WHOLE_TYPES or kind in _NUMBER_TYPES:
        return _is_number(kind, value)
    if kind == "TYPE_BYTES":
        return isinstance(value, str) and _BASE64.fullmatch(value) is not None
    return isinstance(value, str)


def _is_number(kind: str, value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    bound = _WHOLE_TYPES.get(kind)
    if isinstance(value, str):
        if (_NUMBER if bound is None else _WHOLE).fullmatch(value) is None:
            return False
        value = float(value) if bound is None else int(value)
    if bound is None:
        return True
    return -bound <= value < bound and value == int(value)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: f"_{found[1].lower()}", name)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
