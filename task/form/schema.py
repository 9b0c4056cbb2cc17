"""Infer a JSON Schema from the seeds' values that refuses next to no valid output.

What was never seen in n seeds may still come with a probability of about 1/n: with p for it, the
share of valid outputs that a rule from n seeds would refuse is p(1-p)^n, at most 1/(en). So rules
that rest on absence (a missing key, null, another key) need `MANY_SEEDS`, where that is below 1 %;
before, a schema says which types and keys were seen, and no more.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

MANY_SEEDS = 40
MIN_ENUM_SEEDS = 20
MIN_SIGHTINGS = 5  # of each value of an enum, and of each key of a closed object
_LENGTH_SLACK = 2.0  # texts may be this many times longer than the longest seen,
_FEW_SEEDS_SLACK = 24.0  # and this many more, divided by the seeds: the longest of few is short
_MIN_MAX_CHARS = 80  # shorter texts vary more in their relative length

_Schema = dict[str, Any]


class Seen(NamedTuple):
    """A value and the seed that it is part of; several parts of one seed are one observation."""

    seed: int
    value: Any


def infer_schema(values: Sequence[Any]) -> _Schema:
    """Infer the schema of whole outputs.

    Args:
        values: The seeds' values, one a seed.
    """
    return _schema([Seen(seed, value) for seed, value in enumerate(values)], may_be_null=False)


def closed_set(seen: Iterable[tuple[int, Hashable]]) -> set[Any]:
    """Find the distinct values where they look like a closed set; else nothing.

    By Good and Turing (1953) the chance that the next value is a new one is about the share of
    values seen once. With all of them seen several times it is near zero.

    Args:
        seen: Values, each with its seed.
    """
    by_seed = set(seen)
    counts = Counter(value for _, value in by_seed)
    seeds = len({seed for seed, _ in by_seed})
    if seeds < MIN_ENUM_SEEDS or len(counts) < 2 or min(counts.values()) < MIN_SIGHTINGS:
        return set()
    return set(counts)


def max_chars(lengths: Sequence[int], seeds: int) -> int:
    """Bound the length of texts, in characters.

    Args:
        lengths: Lengths of the texts seen, at least one.
        seeds: In how many seeds.
    """
    slack = _LENGTH_SLACK + _FEW_SEEDS_SLACK / seeds
    return max(_MIN_MAX_CHARS, int(max(lengths) * slack))


def _schema(seen: Sequence[Seen], *, may_be_null: bool = True) -> _Schema:
    kinds: dict[str, list[Seen]] = {}
    for item in seen:
        kinds.setdefault(_kind(item.value), []).append(item)
    nulls = kinds.pop("null", [])
    if all(_is_empty(item.value) for item in seen):
        return {}  # null or empty everywhere forbids nothing
    branches = [_branch(kind, items) for kind, items in kinds.items()]
    if nulls or (may_be_null and _seeds(seen) < MANY_SEEDS):
        branches = [_nullable(branches[0])] if len(branches) == 1 else [*branches, {"type": "null"}]
    return branches[0] if len(branches) == 1 else {"anyOf": branches}


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"  # integers do not forbid decimals
    names = {str: "string", dict: "object", list: "array", type(None): "null"}
    return names[type(value)]


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | list | dict) and not value)


def _seeds(seen: Iterable[Seen]) -> int:
    return len({item.seed for item in seen})


def _branch(kind: str, seen: Sequence[Seen]) -> _Schema:
    if kind == "object":
        return _object(seen)
    if kind == "array":
        items = _schema([Seen(item.seed, part) for item in seen for part in item.value])
        return {"type": "array", "items": items} if items else {"type": "array"}
    return _text(seen) if kind == "string" else {"type": kind}


def _text(seen: Sequence[Seen]) -> _Schema:
    closed = closed_set((item.seed, item.value) for item in seen)
    if closed:
        return {"type": "string", "enum": sorted(closed)}
    longest = max_chars([len(item.value) for item in seen], _seeds(seen))
    return {"type": "string", "maxLength": longest} if longest else {"type": "string"}


def _object(seen: Sequence[Seen]) -> _Schema:
    by_key: dict[str, list[Seen]] = {}
    for seed, value in seen:
        for key, part in value.items():
            by_key.setdefault(key, []).append(Seen(seed, part))
    schema: _Schema = {"type": "object"}
    schema["properties"] = {key: _schema(parts) for key, parts in by_key.items()}
    always = [key for key, parts in by_key.items() if len(parts) == len(seen)]
    if _seeds(seen) >= MANY_SEEDS:
        if always:
            schema["required"] = always
        if min((_seeds(parts) for parts in by_key.values()), default=0) >= MIN_SIGHTINGS:
            schema["additionalProperties"] = False
    elif always:
        # One of them at least: a wholly other object is no output.
        schema["anyOf"] = [{"required": [key]} for key in always]
    return schema


def _nullable(schema: Mapping[str, Any]) -> _Schema:
    if schema.get("type") == "object" or "anyOf" in schema:
        return {"anyOf": [dict(schema), {"type": "null"}]}
    nullable = {**schema, "type": [schema["type"], "null"]}
    if "enum" in nullable:
        nullable["enum"] = [*nullable["enum"], None]
    return nullable
