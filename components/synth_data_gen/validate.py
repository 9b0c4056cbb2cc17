"""Learns the form of outputs from the seeds and tells which outputs break it.

Where all seed outputs are JSON the form is an inferred JSON schema and a way of writing; otherwise
it is a range of lengths and, where the seeds show a closed set, the labels. Either way texts have
to be in the seeds' languages.
"""

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import genson
import jsonschema

from components.synth_data_gen.language import Languages, infer_languages

_LEAST_REPEATS = 3  # a closed set: every value was seen this often, so a new one is unlikely
_LENGTH_SLACK = 2.0  # outputs may be this many times shorter or longer than the seeds' extremes
_FENCED = re.compile(r"\A```[a-zA-Z]*\n(.*)\n```\Z", re.DOTALL)
_SEPARATORS = ((", ", ": "), (",", ":"), (",", ": "))


@dataclasses.dataclass(frozen=True)
class JsonStyle:
    """How the seeds write JSON, as arguments of `json.dumps`."""

    separators: tuple[str, str]
    indent: int | None
    ensure_ascii: bool

    def write(self, value: Any) -> str:
        """The value in this style, keys in their own order."""
        return json.dumps(
            value,
            separators=self.separators,
            indent=self.indent,
            ensure_ascii=self.ensure_ascii,
        )


@dataclasses.dataclass(frozen=True)
class OutputForm:
    """What an output has to look like.

    Attributes:
        schema: JSON schema, or None when outputs are free text.
        style: How JSON is written, or None when the seeds do not agree on a way.
        key_order: The keys of a JSON object in the seeds' order, empty when they differ.
        labels: All legal outputs, when outputs are free text of a closed set.
        min_chars: Shortest legal free text, in characters.
        max_chars: Longest legal free text, in characters.
        languages: Of free text, and of the texts inside JSON together.
    """

    schema: Mapping[str, Any] | None = None
    style: JsonStyle | None = None
    key_order: tuple[str, ...] = ()
    labels: frozenset[str] = frozenset()
    min_chars: int = 0
    max_chars: int = 0
    languages: Languages = dataclasses.field(default_factory=Languages)

    def tidy(self, output: str) -> str:
        """The output without a code fence, and JSON in the seeds' way of writing.

        An output that cannot be read as JSON is returned as it is: `problem` says why.
        """
        stripped = output.strip()
        fenced = _FENCED.match(stripped)
        if self.schema is None:
            return stripped
        text = fenced.group(1) if fenced else stripped
        try:
            value = loads(text)
        except ValueError:
            return stripped
        if isinstance(value, dict) and set(value) == set(self.key_order):
            value = {key: value[key] for key in self.key_order}
        return self.style.write(value) if self.style else text

    def problem(self, output: str) -> str | None:
        """What breaks the form, in one sentence, or None when nothing does."""
        if self.schema is not None:
            return self._json_problem(output)
        if self.labels:
            known = output in self.labels
            return None if known else f"{output[:40]!r} is none of the seeds' labels"
        if not self.min_chars <= len(output) <= self.max_chars:
            return f"{len(output)} characters, not {self.min_chars} to {self.max_chars}"
        return self.languages.problem(output)

    def _json_problem(self, output: str) -> str | None:
        try:
            value = loads(output)
        except ValueError as error:
            return f"not JSON: {error}"
        assert self.schema is not None
        errors = jsonschema.Draft202012Validator(self.schema).iter_errors(value)
        first = jsonschema.exceptions.best_match(errors)
        if first is not None:
            return f"{first.json_path}: {first.message[:200]}"
        return self.languages.problem(_free_text(value))


def infer_form(outputs: Sequence[str]) -> OutputForm:
    """The form that all given outputs have.

    Args:
        outputs: The seeds' outputs, at least one.
    """
    try:
        values = [loads(output) for output in outputs]
    except ValueError:
        values = []
    if any(isinstance(value, (dict, list)) for value in values):
        return _json_form(outputs, values)
    lengths = [len(output) for output in outputs]
    return OutputForm(
        labels=frozenset(_closed_set(outputs)),
        min_chars=int(min(lengths) / _LENGTH_SLACK),
        max_chars=int(max(lengths) * _LENGTH_SLACK),
        languages=infer_languages(outputs),
    )


def loads(text: str) -> Any:
    """Strict JSON: no repeated keys, no NaN or infinity, nothing nested too deep to read."""
    try:
        return json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = Counter(key for key, _ in pairs)
    repeated = [key for key, count in keys.items() if count > 1]
    if repeated:
        raise ValueError(f"repeated key {repeated[0]!r}")
    return dict(pairs)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _json_form(outputs: Sequence[str], values: Sequence[Any]) -> OutputForm:
    builder = genson.SchemaBuilder()
    for value in values:
        builder.add_object(value)
    schema: dict[str, Any] = builder.to_schema()
    _narrow(schema, values)
    orders = {tuple(value) for value in values if isinstance(value, dict)}
    return OutputForm(
        schema=schema,
        style=_style(outputs, values),
        key_order=orders.pop() if len(orders) == 1 else (),
        languages=infer_languages([_free_text(value) for value in values]),
    )


def _free_text(value: Any) -> str:
    """All texts inside a JSON value, in their order."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return ""
    return " ".join(text for item in value if (text := _free_text(item)))


def _narrow(schema: dict[str, Any], values: Iterable[Any]) -> None:
    """Adds to a genson schema, in place, what the values show beyond their types."""
    seen = list(values)
    objects = [value for value in seen if isinstance(value, dict)]
    arrays = [value for value in seen if isinstance(value, list)]
    texts = [value for value in seen if isinstance(value, str)]
    for branch in schema.get("anyOf", []):
        _narrow(branch, [value for value in seen if _fits(branch, value)])
    if "anyOf" in schema:
        return
    if "properties" in schema:
        schema["additionalProperties"] = False
        for name, child in schema["properties"].items():
            _narrow(child, [value[name] for value in objects if name in value])
    if "items" in schema:
        _narrow(schema["items"], [item for value in arrays for item in value])
    if texts:
        _narrow_texts(schema, seen, texts)


def _narrow_texts(schema: dict[str, Any], seen: Sequence[Any], texts: Sequence[str]) -> None:
    closed = _closed_set(texts)
    if closed and all(value is None or isinstance(value, str) for value in seen):
        nothing = [None] if any(value is None for value in seen) else []
        schema["enum"] = [*sorted(closed), *nothing]
        return
    lengths = [len(text) for text in texts]
    schema["minLength"] = int(min(lengths) / _LENGTH_SLACK)
    schema["maxLength"] = max(1, int(max(lengths) * _LENGTH_SLACK))


def _fits(branch: Mapping[str, Any], value: Any) -> bool:
    return jsonschema.Draft202012Validator(dict(branch)).is_valid(value)


def _closed_set(texts: Sequence[str]) -> set[str]:
    """The distinct texts, when they look like a closed set; else nothing.

    By Good and Turing (1953) the chance that the next text is a new one is about the share of texts
    seen once. With every text seen several times that share is zero, and a legal text outside the
    set is unlikely; with a single text seen fewer times the set may be incomplete.
    """
    counts = Counter(texts)
    return set(counts) if counts and min(counts.values()) >= _LEAST_REPEATS else set()


def _style(outputs: Sequence[str], values: Sequence[Any]) -> JsonStyle | None:
    for indent in (None, 2, 4):
        for separators in _SEPARATORS:
            for ensure_ascii in (False, True):
                style = JsonStyle(separators, indent, ensure_ascii)
                if all(style.write(v) == o for v, o in zip(values, outputs, strict=True)):
                    return style
    return None
