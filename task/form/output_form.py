"""What an output has to look like, and what breaks it."""

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from task.form.tidy import (
    is_fenced,
    opens_fence,
    without_blank_edges,
    without_fence,
    without_lead_in,
)
from task.form.values import PATH_OF_ITEM, JsonStyle, Path, loads, texts_in
from task.language import Languages, is_sentence

if TYPE_CHECKING:
    import jsonschema

_MESSAGE_CHARS = 200


class Misfit(NamedTuple):
    """An output that breaks the form.

    Attributes:
        row: Its place among the outputs given.
        problem: What breaks it.
    """

    row: int
    problem: str


@dataclasses.dataclass(frozen=True)
class OutputForm:
    """What an output has to look like.

    Attributes:
        schema: JSON Schema, or None when outputs are free text.
        style: How JSON is written, or None when the seeds do not agree on a way.
        key_orders: The keys of each JSON object in the seeds' order, by its path (`PATH_OF_ITEM`
            for those of a list); without the objects whose keys differ from seed to seed.
        labels: All legal outputs, when outputs are free text of a closed set.
        max_chars: Longest legal free text, in characters.
        languages: Of free text, and of the sentences inside JSON.
        keeps_fences: Some seeds have code fences, so they are a part of outputs.
        needs_fence: All seeds stand in a code fence, and so has free text.
        keeps_lead_ins: Some seeds begin with a line that announces the rest.
        is_code: Most seeds look like code.
    """

    schema: Mapping[str, Any] | None = None
    style: JsonStyle | None = None
    key_orders: Mapping[Path, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    labels: frozenset[str] = frozenset()
    max_chars: int = 0
    languages: Languages = dataclasses.field(default_factory=Languages)
    keeps_fences: bool = False
    needs_fence: bool = False
    keeps_lead_ins: bool = False
    is_code: bool = False

    def tidy(self, output: str) -> str:
        """Return the output without fence and lead-in, and JSON in the seeds' style.

        An output that cannot be read as JSON is returned without its fence: `problem` says why.
        Indentation of free text and code stays. Prose around a fence stays, too, and is refused:
        what stands in the fence is not all of the answer.
        """
        text = output if self.keeps_lead_ins else without_lead_in(output)
        is_prose = self.schema is None and not self.labels and not self.is_code
        is_announced = text != output and opens_fence(text, at_start=True)
        if not self.keeps_fences and (is_fenced(text) or is_announced or not is_prose):
            text = without_fence(text)
        if self.schema is None:
            return text.strip() if self.labels else without_blank_edges(text)
        try:
            value = loads(text)
        except ValueError:
            return text.strip()
        value = self._ordered(value)
        return self.style.write(value) if self.style else text.strip()

    def problem(self, output: str) -> str | None:
        """Say what breaks the form, in one sentence, or None when nothing does."""
        if self.schema is not None:
            return self._json_problem(output)
        if self.labels and output not in self.labels:
            return f"{output[:40]!r} is not one of the labels in the seed outputs"
        if self.labels:
            return None
        if not output.strip():
            return "the output is empty"
        if len(output) > self.max_chars:
            return f"{len(output)} characters, more than {self.max_chars}"
        return self._fence_problem(output) or self.languages.problem(output)

    def _ordered(self, value: Any, path: Path = ()) -> Any:
        """Return a value with the keys of all its objects in the seeds' order."""
        if isinstance(value, list):
            return [self._ordered(item, (*path, PATH_OF_ITEM)) for item in value]
        if not isinstance(value, dict):
            return value
        order = self.key_orders.get(path, ())
        keys = order if set(value) == set(order) else tuple(value)
        return {key: self._ordered(value[key], (*path, key)) for key in keys}

    def misfits(self, outputs: Sequence[str]) -> list[Misfit]:
        """List the outputs that break the form, each tidied first."""
        # Outputs repeat, and a schema takes long.
        problems = {output: self.problem(self.tidy(output)) for output in dict.fromkeys(outputs)}
        found = enumerate(problems[output] for output in outputs)
        return [Misfit(n, problem) for n, problem in found if problem is not None]

    def _fence_problem(self, output: str) -> str | None:
        if not self.keeps_fences and opens_fence(output):
            return "a code fence, which no seed output has"
        if self.needs_fence and not is_fenced(output):
            return "not in a code fence, as all seed outputs are"
        return None

    def _json_problem(self, output: str) -> str | None:
        try:
            value = loads(output)
        except ValueError as error:
            return f"not JSON: {error}"
        if self._validator.is_valid(value):
            return self.languages.problem(sentences_in(value))
        from jsonschema.exceptions import best_match

        first = best_match(self._validator.iter_errors(value))
        assert first is not None
        return f"{first.json_path}: {first.message[:_MESSAGE_CHARS]}"

    @functools.cached_property
    def _validator(self) -> "jsonschema.Draft202012Validator":
        import jsonschema  # takes seconds, with all its formats installed

        return jsonschema.Draft202012Validator(dict(self.schema or {}))

    def describe(self) -> str:
        """Name the form for people."""
        languages = ", ".join(sorted(self.languages.names))
        if self.schema is not None:
            return f"JSON: {json.dumps(self.schema, ensure_ascii=False)}"
        if self.labels:
            return f"one of the labels {', '.join(sorted(self.labels))}"
        kind = "code" if self.is_code else "free text"
        written = f" in {languages}" if languages and not self.is_code else ""
        return f"{kind}{written}, at most {self.max_chars:,} characters"


def describe_fields(schema: Mapping[str, Any]) -> str:
    """Name the fields of a JSON Schema with their types, for people.

    Example:
        >>> describe_fields({"type": "object", "properties": {"paid": {"type": "boolean"}}})
        'paid (boolean)'
    """
    fields = schema.get("properties") or {}
    if not fields:
        return _type_of(schema)
    return ", ".join(f"{name} ({_type_of(field)})" for name, field in fields.items())


def _type_of(field: Any) -> str:
    if not isinstance(field, Mapping):
        return "anything"
    if values := field.get("enum"):
        return f"{len(values)} values"
    options = field.get("anyOf") or field.get("oneOf") or ()
    # Some say which keys there are, not which type.
    if options := [option for option in options if set(option) != {"required"}]:
        return " or ".join(dict.fromkeys(map(_type_of, options)))
    kinds = field.get("type", "anything")
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    items = field.get("items")
    named = [_list_of(items) if kind == "array" else kind for kind in kinds]
    inner = field.get("properties")
    if inner and "object" in kinds:
        named[kinds.index("object")] = f"object of {', '.join(inner)}"
    return " or ".join(named)


def _list_of(items: Any) -> str:
    inner = _type_of(items) if items else "anything"
    return f"list of ({inner})" if " " in inner else f"list of {inner}"


def sentences_in(value: Any) -> str:
    """Join the sentences inside a JSON value: names and labels tell no language."""
    return " ".join(text for text in texts_in(value) if is_sentence(text))
