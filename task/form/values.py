"""JSON values as outputs hold them: read strictly, written in the seeds' style."""

import dataclasses
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

_SEPARATORS = ((", ", ": "), (",", ":"), (",", ": "))
_INDENTS = (None, 2, 4, "\t")
_STYLED = 200  # seeds that tell the style; each is written in all styles
_MIN_STYLED = 0.8  # of these are written in the style


@dataclasses.dataclass(frozen=True)
class JsonStyle:
    """How the seeds write JSON, as arguments of `json.dumps`."""

    separators: tuple[str, str]
    indent: int | str | None
    ensure_ascii: bool

    def write(self, value: object) -> str:
        """Write a value in this style, keys in their own order."""
        return json.dumps(
            value,
            separators=self.separators,
            indent=self.indent,
            ensure_ascii=self.ensure_ascii,
        )


def infer_style(outputs: Sequence[str], values: Sequence[object]) -> JsonStyle | None:
    """Find the style that most outputs are written in, or None.

    Args:
        outputs: The seeds' outputs.
        values: What they hold.
    """
    outputs, values = outputs[:_STYLED], values[:_STYLED]
    best, most = None, _MIN_STYLED * len(outputs)
    for indent in _INDENTS:
        for separators in _SEPARATORS:
            for ensure_ascii in (False, True):
                style = JsonStyle(separators, indent, ensure_ascii)
                fits = sum(style.write(v) == o for v, o in zip(values, outputs, strict=True))
                if fits > most or (best is None and fits >= most):
                    best, most = style, float(fits)
    return best


def loads(text: str) -> Any:
    """Read strict JSON: no repeated keys, no NaN or infinity, nothing nested too deep to read.

    Raises:
        ValueError: It is none.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    keys = Counter(key for key, _ in pairs)
    repeated = [key for key, count in keys.items() if count > 1]
    if repeated:
        raise ValueError(f"repeated key {repeated[0]!r}")
    return dict(pairs)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


Path = tuple[str, ...]
PATH_OF_ITEM = "[]"  # in a path: any item of a list


def key_orders(values: Sequence[object]) -> dict[Path, tuple[str, ...]]:
    """Return the keys of the objects in values by their path, where all have the same ones."""
    found: defaultdict[Path, set[tuple[str, ...]]] = defaultdict(set)

    def collect(value: object, path: Path) -> None:
        if isinstance(value, dict):
            found[path].add(tuple(value))
            for key, item in value.items():
                collect(item, (*path, key))
        elif isinstance(value, list):
            for item in value:
                collect(item, (*path, PATH_OF_ITEM))

    for value in values:
        collect(value, ())
    return {path: next(iter(orders)) for path, orders in found.items() if len(orders) == 1}


def texts_in(value: object) -> list[str]:
    """List all texts inside a JSON value, in their order."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [text for item in value for text in texts_in(item)] if isinstance(value, list) else []
