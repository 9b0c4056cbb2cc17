"""Every setting of a configuration: documentation, bounds and default, from its own docstring."""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pipeline.config import Config

_WIDTH = 80
_REFERENCE = "$ref"
_BOUNDS = {
    "minimum": ">= {}",
    "exclusiveMinimum": "> {}",
    "maximum": "<= {}",
    "exclusiveMaximum": "< {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "pattern": "matches {}",
}

Schema = Mapping[str, Any]


class Setting(NamedTuple):
    """One setting of the configuration, or one of its sections.

    Attributes:
        path: Its dotted name, as after `--set`.
        values: What it takes, with bounds; empty for a section.
        default: Its default as JSON; empty where it has none.
        text: Its documentation.
    """

    path: str
    values: str
    default: str
    text: str

    @property
    def facts(self) -> str:
        """What it takes and its default, as one line."""
        default = f"default: {self.default}" if self.default else "required"
        return f"{self.values}; {default}" if self.values else "section"


def settings() -> Iterator[Setting]:
    """Yield every setting, each section before its own settings."""
    schema = Config.model_json_schema()
    yield from _of_section(schema, schema["$defs"], "", {})


def explain() -> str:
    """Explain every setting in plain text, 80 columns wide."""
    blocks = []
    for setting in settings():
        text = textwrap.fill(setting.text, _WIDTH, initial_indent="    ", subsequent_indent="    ")
        head = textwrap.fill(
            f"{setting.path}  ({setting.facts})", _WIDTH, subsequent_indent="        "
        )
        blocks.append(f"{head}\n{text}")
    return "\n\n".join(blocks)


def settings_page() -> str:
    """Explain every setting as a page of the documentation, in Markdown."""
    lines = [
        "# Settings",
        "",
        "Every setting of a preset. `understudy config --explain` prints the same in the terminal;",
        "`--set KEY.PATH=VALUE` and the environment variable `UNDERSTUDY__KEY__PATH` override one.",
    ]
    for setting in settings():
        if not setting.values:
            lines += ["", f"## `{setting.path}`", "", setting.text]
        else:
            lines += ["", f"- **`{setting.path}`** ({setting.facts})", f"  {setting.text}"]
    return "\n".join(lines) + "\n"


def _of_section(
    section: Schema, definitions: Schema, prefix: str, seen: dict[str, str]
) -> Iterator[Setting]:
    for name, field in section["properties"].items():
        path = f"{prefix}{name}"
        inner = _section_of(field)
        # JSON Schema leaves out a description that repeats that of the section itself.
        section_text = definitions[inner].get("description", "") if inner else ""
        text = " ".join((field.get("description") or section_text).split())
        text = re.sub(r"\bNone\b", "null", text)  # as a preset writes it
        if inner is None or not _is_documented(definitions[inner]):
            values = _values(field, definitions)
            default = json.dumps(field["default"]) if "default" in field else ""
            yield Setting(path, values, default, text)
        elif inner in seen:
            yield Setting(path, "", "", f"{text} Takes the settings of `{seen[inner]}`.".strip())
        else:
            seen[inner] = path
            yield Setting(path, "", "", text)
            yield from _of_section(definitions[inner], definitions, f"{path}.", seen)


def _section_of(field: Schema) -> str | None:
    """Return the name of the definition that a field holds, if it holds one."""
    for option in (field, *field.get("anyOf", ()), *field.get("allOf", ())):
        if _REFERENCE in option:
            return str(option[_REFERENCE]).rpartition("/")[2]
    return None


def _is_documented(section: Schema) -> bool:
    """Tell a section of settings from a value with keys, such as `synth.attributes`."""
    return any("description" in field for field in section.get("properties", {}).values())


def _values(field: Schema, definitions: Schema) -> str:
    if _REFERENCE in field:
        keys = definitions[str(field[_REFERENCE]).rpartition("/")[2]]["properties"]
        return f"object with the keys {', '.join(keys)}"
    if options := field.get("anyOf"):
        return " or ".join(dict.fromkeys(_values(option, definitions) for option in options))
    if "const" in field:
        return json.dumps(field["const"])
    if choices := field.get("enum"):
        return ", ".join(map(json.dumps, choices))
    kind = str(field.get("type", "any value"))
    if kind == "array":
        items = field.get("items") or {}
        kind = f"list of ({_values(items, definitions)})" if items else "list"
    bounds = [text.format(field[key]) for key, text in _BOUNDS.items() if key in field]
    return ", ".join([kind, *bounds])
