"""What to do where a rate is low, where the answers themselves say why."""

from collections.abc import Iterator, Mapping, Sequence

from core.records import VerdictRow
from core.reports.coverage import SERVICE, TUNED
from core.reports.strict import StrictReport
from judging.output_fields import json_fields
from judging.settings import GateSettings

_MIN_SHARE = 0.1  # of the answers: fewer failures of one kind do not make a rate low
_MIN_ROWS = 3


def make_advice(
    rows: Mapping[str, Sequence[VerdictRow]],
    strict: Mapping[str, StrictReport],
    gate: GateSettings,
) -> tuple[str, ...]:
    """Name the causes that the answers of the gate's split show, each with what to do.

    Args:
        rows: The verdict rows by model; `tuned` is there.
        strict: The strict findings by model.
        gate: Its split counts.
    """
    shown = {
        model: [row for row in verdicts if gate.split in ("overall", row.split)]
        for model, verdicts in rows.items()
    }
    tuned = shown[TUNED]
    return (
        *_of_form(tuned, is_json=TUNED in strict and strict[TUNED].kind == "json"),
        *_of_fields(strict.get(TUNED), gate),
        *_of_judge(tuned),
        *_of_service(shown.get(SERVICE, []), gate),
    )


def _of_form(rows: Sequence[VerdictRow], *, is_json: bool) -> Iterator[str]:
    cut = [row for row in rows if row.finish == "length"]
    if _are_many(len(cut), len(rows)):
        yield f"{len(cut)} of {len(rows)} answers were cut off: raise generation.max_output_tokens."
    broken = [row for row in rows if row.finish != "length" and json_fields(row.response) is None]
    if is_json and _are_many(len(broken), len(rows)):
        yield (
            f"{len(broken)} of {len(rows)} answers are not JSON objects: the model has not learned "
            "the form. Train longer (training.epochs) or on more rows (synth.rows_per_round)."
        )
    empty = [row for row in rows if not row.response.strip()]
    if not is_json and _are_many(len(empty), len(rows)):
        yield f"{len(empty)} of {len(rows)} answers are empty: check the rows trained on."


def _of_fields(strict: StrictReport | None, gate: GateSettings) -> Iterator[str]:
    """Name fields that are no better than always the most frequent value."""
    for name, field in strict[gate.split].fields.items() if strict else ():
        right, constant = field.accuracy.rate_percent, field.majority_percent
        if field.confusion and right <= constant < 100 and field.accuracy.total:
            yield (
                f"{name} is right in {right:.1f} %, where always the most frequent value would be "
                f"in {constant:.1f} %: the model has not learned it. Say in task.instruction what "
                "decides it, and compare its output values in the report."
            )


def _of_judge(rows: Sequence[VerdictRow]) -> Iterator[str]:
    unscored = [row for row in rows if not row.scored]
    if _are_many(len(unscored), len(rows)):
        yield (
            f"{len(unscored)} of {len(rows)} answers could not be scored and count as not covered: "
            "read their reasons, and choose another judge if it refuses or does not write JSON."
        )


def _of_service(rows: Sequence[VerdictRow], gate: GateSettings) -> Iterator[str]:
    if not rows or gate.relative_to_service:
        return
    rate = 100 * sum(row.covered for row in rows) / len(rows)
    if rate < gate.threshold_percent:
        yield (
            f"The service LLM itself covers {rate:.1f} %, less than the threshold of "
            f"{gate.threshold_percent:g} %: a model that learns from it can hardly do better. "
            "Check the suspect references, or set evaluator.gate.relative_to_service=true."
        )


def _are_many(failed: int, total: int) -> bool:
    return failed >= max(_MIN_ROWS, _MIN_SHARE * total)
