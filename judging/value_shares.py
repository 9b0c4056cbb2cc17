"""How often each output value appears: in references, in training data, in answers."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from core.reports.failures import ValueShare
from core.reports.strict import StrictKind
from judging.output_fields import ABSENT, UNREADABLE, json_fields, value_text
from judging.rates import percent
from judging.scorers import normalized
from judging.strict import LABEL

ANY_VALUE = "(a value)"
"""Stands for every value of a field that has too many to be told apart, such as a name."""

MAX_VALUES = 20

Counts = Mapping[str, Mapping[str, int]]


def output_values(output: str, kind: StrictKind) -> dict[str, str]:
    """Return an output's values as text by field; `UNREADABLE` for what is no JSON."""
    if kind == "labels":
        return {LABEL: normalized(output)}
    fields = json_fields(output)
    if fields is None:
        return {"": UNREADABLE}
    return {path: value_text(fields, path) for path in fields}


def open_fields(counts: Counts) -> set[str]:
    """Return the fields with more than `MAX_VALUES` values: text, not a set of values."""
    return {field for field, values in counts.items() if len(values) > MAX_VALUES}


def count_values(outputs: Iterable[str], kind: StrictKind) -> dict[str, dict[str, int]]:
    """Count the values of each field; those of an open field count together."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for output in outputs:
        for field, value in output_values(output, kind).items():
            found[field][value] += 1
    many = open_fields(found)
    return {
        field: {ANY_VALUE: counts.total()} if field in many else dict(counts)
        for field, counts in found.items()
    }


def value_shares(
    sets: Mapping[str, tuple[int, Counts]],
) -> dict[str, tuple[ValueShare, ...]]:
    """Compare how often each output value appears in several sets of outputs.

    Args:
        sets: Number of outputs and counts of values by the name of the set; the first one is the
            references.

    Returns:
        By field of a reference every value with its share of each set in percent, the most frequent
        in the first set first. An output without the field counts as `ABSENT`.
    """
    names = list(sets)
    fields = sets[names[0]][1]
    return {field: _shares(field, sets) for field in fields if field}


def _shares(field: str, sets: Mapping[str, tuple[int, Counts]]) -> tuple[ValueShare, ...]:
    by_set = {name: Counter(counts.get(field, {})) for name, (_, counts) in sets.items()}
    first = next(iter(sets))
    if any(ANY_VALUE in values for values in by_set.values()):
        by_set = {name: Counter({ANY_VALUE: values.total()}) for name, values in by_set.items()}
    for name, (outputs, _) in sets.items():
        if missing := outputs - by_set[name].total():
            by_set[name][ABSENT] += missing
    values = dict.fromkeys(value for found in by_set.values() for value, _ in found.most_common())
    shares = [
        ValueShare(
            value=value,
            percent={name: percent(by_set[name][value] / (sets[name][0] or 1)) for name in sets},
        )
        for value in values
    ]
    return tuple(sorted(shares, key=lambda share: -share.percent[first]))
