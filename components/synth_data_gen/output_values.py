"""Which output values a round kept and which its filters dropped, and near which coverage rows."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from core.records import SEED_SPLIT, CoverageRow
from core.reports.synthesis import NearCount, ValueCount
from core.synthetic_records import Dropped
from task.form.values import loads

_WHOLE = "output"  # the name of the field where the output as a whole is the value
_MAX_CHARACTERS = 40  # of a value; longer ones are text
_MAX_VALUES = 30  # of a field; with more it is no set of values
_MAX_NEAR = 20
_WORDS = {"None": "null", "True": "true", "False": "false"}  # a number is a quantity


def count_kept_and_dropped(
    kept: Sequence[str], dropped: Sequence[Dropped], coverage: Sequence[CoverageRow]
) -> dict[str, tuple[ValueCount, ...]]:
    """Count the values of JSON fields and of labels, kept and dropped.

    A candidate that was dropped before it had an output counts with that of the coverage row it is
    near to. Only values that a seed or a kept row has are counted, so that nothing of the holdout
    gets into a page.

    Args:
        kept: Outputs of the rows that the round kept.
        dropped: What the filters dropped.
        coverage: Seeds and holdout rows.

    Returns:
        Counts by field, the most frequent first.
    """
    by_field: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for output in kept:
        for field, value in _values(output):
            by_field[field][value] += 1
    legal: defaultdict[str, set[str]] = defaultdict(set)
    for output in (*kept, *(row.output for row in coverage if row.split == SEED_SPLIT)):
        for field, value in _values(output):
            legal[field].add(value)
    outputs = {row.id: row.output for row in coverage}
    lost: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for entry in dropped:
        for field, value in _values(entry.output or outputs.get(entry.nearest_id, "")):
            if value in legal[field]:
                lost[field][value] += entry.count
    return {
        field: _bars(values, by_field[field], lost[field])
        for field, values in sorted(legal.items())
        if 2 <= len(values) <= _MAX_VALUES
    }


def count_near(
    dropped: Sequence[Dropped], coverage: Sequence[CoverageRow]
) -> tuple[NearCount, ...]:
    """Count what was dropped near each coverage row, the most frequent first."""
    splits = {row.id: row.split for row in coverage}
    counts = Counter((entry.nearest_id, entry.reason) for entry in dropped if entry.nearest_id)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MAX_NEAR]
    return tuple(
        NearCount(coverage_id=row_id, split=splits.get(row_id, ""), reason=reason, rows=rows)
        for (row_id, reason), rows in ranked
    )


def _bars(
    values: set[str], kept: Mapping[str, int], dropped: Mapping[str, int]
) -> tuple[ValueCount, ...]:
    counts = [ValueCount(value, kept.get(value, 0), dropped.get(value, 0)) for value in values]
    return tuple(sorted(counts, key=lambda count: (-count.kept - count.dropped, count.value)))


def _values(output: str) -> Iterator[tuple[str, str]]:
    """Yield the fields of an output with short values: those of a JSON object, or the whole."""
    try:
        value = loads(output)
    except ValueError:
        value = output.strip()
    fields = value.items() if isinstance(value, dict) else [(_WHOLE, value)]
    for field, found in fields:
        text = found if isinstance(found, str) else _WORDS.get(repr(found), "")
        if 0 < len(text) <= _MAX_CHARACTERS:
            yield field, text
