"""Labels that say whether a completion is a good one, as TRL's unpaired preferences (KTO) have."""

from collections.abc import Sequence

from task.importers.shape import Fields

_BAD = frozenset({"false", "0", "0.0"})
_GOOD = frozenset({"true", "1", "1.0"})
_LABEL = "label"
# Other columns that name the class of a row: its label is a number of one then.
_CLASSES = ("class", "category", "intent", "sentiment", "labels", "label_name", "label_text")


def bad_labels(rows: Sequence[Fields]) -> frozenset[str]:
    """Return what labels bad completions of a file, by `label_of`.

    Args:
        rows: The file's rows. If one of their labels is neither true nor false, none is a verdict.
    """
    labels = {label_of(row) for row in rows} - {None}
    is_class = any(name in row for row in rows for name in _CLASSES)
    return frozenset() if is_class or not labels <= _BAD | _GOOD else _BAD


def label_of(row: Fields) -> str | None:
    """Return a row's label, as it is compared; None where it has none."""
    label = row.get(_LABEL)
    return None if label is None else str(label).strip().lower()
