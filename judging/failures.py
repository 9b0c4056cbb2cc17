"""What went wrong, in groups: clusters of failed fields."""

from collections import defaultdict
from collections.abc import Iterable

from core.records import VerdictRow
from core.reports.failures import FailureCluster
from core.reports.strict import StrictKind
from judging.output_fields import json_fields, same_value, value_text
from judging.scorers import normalized
from judging.strict import LABEL, strict_equal

CUT_OFF = "cut off"
_MIN_ROWS = 2  # one failure of its kind is no cluster


def failure_clusters(
    rows: Iterable[VerdictRow], kind: StrictKind, *, min_rows: int = _MIN_ROWS
) -> tuple[FailureCluster, ...]:
    """Group the answers that are not strictly right by field, reference value and answered value.

    An answer with several wrong fields is in several clusters. One that was cut off is in the
    cluster `CUT_OFF` alone: what it lacks says nothing about its fields.

    Args:
        rows: Verdict rows of one model.
        kind: What the references are.
        min_rows: Smallest cluster to return.

    Returns:
        The largest first.
    """
    members: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for row in rows:
        if strict_equal(row.output, row.response, kind):
            continue
        for cluster in _clusters_of(row, kind):
            members[cluster].add(row.id)
    ordered = sorted(members.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple(
        FailureCluster(field=field, reference=reference, answered=answered, ids=tuple(sorted(ids)))
        for (field, reference, answered), ids in ordered
        if len(ids) >= min_rows
    )


def _clusters_of(row: VerdictRow, kind: StrictKind) -> list[tuple[str, str, str]]:
    if row.finish == "length":
        return [("", "", CUT_OFF)]
    if kind == "labels":
        return [(LABEL, normalized(row.output), normalized(row.response))]
    wanted, given = json_fields(row.output) or {}, json_fields(row.response)
    if given is None:
        return [("", "", value_text(None, ""))]
    paths = [*wanted, *(path for path in given if path not in wanted)]
    return [
        (path, value_text(wanted, path), value_text(given, path))
        for path in paths
        if path not in wanted or path not in given or not same_value(wanted[path], given[path])
    ]
