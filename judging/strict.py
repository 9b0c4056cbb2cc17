"""The strict scorer: an answer counts only where it equals the reference.

JSON outputs are equal when every field is after parsing; labels when they are the same label. Free
text has no strict rate: two right answers are rarely the same text.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from core.records import VerdictRow
from core.reports.rates import OVERALL, SPLITS
from core.reports.strict import (
    ConfusionCell,
    FieldAccuracy,
    JudgeDifference,
    LabelScore,
    StrictKind,
    StrictPart,
    StrictReport,
)
from judging.output_fields import json_fields, same_value, value_text
from judging.rates import observed, percent, rate, wilson
from judging.scorers import normalized
from task.form import infer_form

LABEL = "label"
WARN_POINTS = 15.0
"""Difference of judge and strict scorer, in percentage points, above which a reader is warned."""

_MAX_VALUES = 40  # a field with more reference values has no confusion that one could read
_MIN_REPEATS = 2.0  # answers for each reference value on average: fewer are free text

_MIN_JSON = 0.8  # of the references, as where the form of outputs is inferred


@dataclasses.dataclass(frozen=True)
class _Outcome:
    """A row as the strict scorer sees it; satisfies `judging.rates.Judged`."""

    id: str
    split: str
    tags: tuple[str, ...]
    covered: bool
    scored: bool = True


def strict_kind(references: Iterable[str]) -> StrictKind | None:
    """Tell what kind of outputs the references are: JSON, labels, or None for free text.

    Call it once, with all references of a dataset: a part of them may look like another kind.
    """
    texts = list(references)
    if not texts:
        return None
    structured = sum(json_fields(text) is not None for text in texts)
    if structured >= _MIN_JSON * len(texts):
        return "json"
    return "labels" if infer_form(texts).labels else None


def strict_equal(reference: str, answer: str, kind: StrictKind) -> bool:
    """Whether an answer equals its reference in every field, or is the same label.

    A reference that is not JSON where the others are is equal to the same text.

    Example:
        >>> strict_equal('{"a": 1, "b": "x"}', '{"b":"x","a":1.0}', "json")
        True
    """
    wanted = json_fields(reference) if kind == "json" else None
    if wanted is None:
        return normalized(reference) == normalized(answer)
    given = json_fields(answer)
    if given is None or wanted.keys() != given.keys():
        return False
    return all(same_value(value, given[path]) for path, value in wanted.items())


def strict_report(rows: Sequence[VerdictRow], kind: StrictKind) -> StrictReport:
    """Compare one model's answers with their references."""
    parts = {
        split: strict_part([row for row in rows if split in (OVERALL, row.split)], kind)
        for split in SPLITS
    }
    return StrictReport(kind=kind, **parts)


def strict_part(rows: Sequence[VerdictRow], kind: StrictKind) -> StrictPart:
    """Compare some of a model's answers with their references."""
    labels = _label_scores(rows) if kind == "labels" else {}
    return StrictPart(
        rate=rate(
            _outcome(row, covered=strict_equal(row.output, row.response, kind)) for row in rows
        ),
        fields=_json_fields(rows) if kind == "json" else {LABEL: _label_field(rows)},
        labels=labels,
        judge=judge_difference(rows, kind),
    )


def judge_difference(rows: Sequence[VerdictRow], kind: StrictKind) -> JudgeDifference:
    """Compare the judge with the strict scorer, row by row."""
    equal = [strict_equal(row.output, row.response, kind) for row in rows]
    pairs = list(zip(rows, equal, strict=True))
    points = percent(observed(rows).share - sum(equal) / (len(rows) or 1))
    return JudgeDifference(
        points=points,
        warn=abs(points) > WARN_POINTS,
        only_judge=_ids(row for row, strict in pairs if row.covered and not strict),
        only_strict=_ids(row for row, strict in pairs if strict and not row.covered),
    )


def _json_fields(rows: Sequence[VerdictRow]) -> dict[str, FieldAccuracy]:
    parsed = [(row, json_fields(row.output) or {}, json_fields(row.response)) for row in rows]
    paths = dict.fromkeys(path for _, wanted, _ in parsed for path in wanted)
    return {
        path: _field(
            [
                _Compared(
                    row,
                    value_text(wanted, path),
                    value_text(given, path),
                    given is not None and path in given and same_value(wanted[path], given[path]),
                )
                for row, wanted, given in parsed
                if path in wanted
            ]
        )
        for path in paths
    }


def _label_field(rows: Sequence[VerdictRow]) -> FieldAccuracy:
    return _field(
        [
            _Compared(
                row,
                normalized(row.output),
                normalized(row.response),
                strict_equal(row.output, row.response, "labels"),
            )
            for row in rows
        ]
    )


class _Compared(NamedTuple):
    """One value of a reference, and the one that was answered."""

    row: VerdictRow
    reference: str
    answered: str
    equal: bool


def _field(compared: Sequence[_Compared]) -> FieldAccuracy:
    references = Counter(value.reference for value in compared)
    majority = max(references.values(), default=0)
    return FieldAccuracy(
        accuracy=rate(_outcome(value.row, covered=value.equal) for value in compared),
        majority_percent=percent(majority / (len(compared) or 1)),
        confusion=_confusion(compared, references),
    )


def _confusion(
    compared: Sequence[_Compared], references: Mapping[str, int]
) -> tuple[ConfusionCell, ...]:
    if len(references) > min(_MAX_VALUES, len(compared) / _MIN_REPEATS):
        return ()
    cells = Counter(
        # Equal values that are written otherwise, such as 1 and 1.0, share the reference's cell.
        (value.reference, value.reference if value.equal else value.answered)
        for value in compared
    )
    return tuple(
        ConfusionCell(
            reference=reference,
            answered=answered,
            rate=rate(
                _outcome(
                    value.row,
                    covered=value.equal if answered == reference else value.answered == answered,
                )
                for value in compared
                if value.reference == reference
            ),
        )
        for (reference, answered), _ in cells.most_common()
    )


def _label_scores(rows: Sequence[VerdictRow]) -> dict[str, LabelScore]:
    labels = sorted({normalized(row.output) for row in rows})
    return {label: _label_score(rows, label) for label in labels}


def _label_score(rows: Sequence[VerdictRow], label: str) -> LabelScore:
    """Score one label.

    F1 = 2 J / (1 + J), where J is the share of correct answers among those whose reference or
    answer is the label. J is a binomial share of prompts, so its Wilson interval gives that of F1.
    """
    concerned = [row for row in rows if label in (normalized(row.output), normalized(row.response))]
    right = [normalized(row.output) == normalized(row.response) for row in concerned]
    references = sum(normalized(row.output) == label for row in concerned)
    answers = sum(normalized(row.response) == label for row in concerned)
    correct = sum(right)
    jaccard = observed(
        _outcome(row, covered=equal) for row, equal in zip(concerned, right, strict=True)
    )
    low, high = wilson(*jaccard)
    return LabelScore(
        references=references,
        answers=answers,
        correct=correct,
        precision_percent=percent(correct / answers) if answers else None,
        recall_percent=percent(correct / references) if references else None,
        f1_percent=percent(_f1(jaccard.share)),
        low_percent=percent(_f1(low)),
        high_percent=percent(_f1(high)),
    )


def _f1(jaccard: float) -> float:
    return 2 * jaccard / (1 + jaccard)


def _outcome(row: VerdictRow, *, covered: bool) -> _Outcome:
    return _Outcome(row.id, row.split, row.tags, covered)


def _ids(rows: Iterable[VerdictRow]) -> tuple[str, ...]:
    return tuple(sorted({row.id for row in rows}))
