"""One evaluation from responses to report, as plain Python: the executor brings data and a judge.

It loads neither TensorFlow nor TFX.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from components.errors import UserError
from components.llm_evaluator import report, scorers
from components.llm_evaluator.calibration import JudgeErrors, calibrate
from components.llm_evaluator.ceiling import service_responses
from components.llm_evaluator.gate import GateDecision, decide
from components.llm_evaluator.judging import Replies, judge
from components.llm_evaluator.labels import Label
from components.llm_evaluator.requests import Candidate, RequestBuilder
from components.llm_evaluator.settings import EvaluatorSettings
from components.llm_evaluator.verdicts import Judgement, VerdictRow
from components.records import ResponseRow


@dataclasses.dataclass(frozen=True)
class Previous:
    """The evaluation of the round before.

    Attributes:
        report: Its `coverage_report.json`.
        rows: Its verdicts on the tuned model.
    """

    report: Mapping[str, Any]
    rows: Sequence[VerdictRow]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        rows: Every model's verdict rows, the tuned model's first.
        decision: What the gate says.
        report: The report, without round and usage.
    """

    rows: tuple[VerdictRow, ...]
    decision: GateDecision
    report: Mapping[str, Any]


def evaluate(
    responses: Mapping[str, Sequence[ResponseRow]],
    llm: Replies,
    builder: RequestBuilder,
    *,
    judge_section: Mapping[str, Any],
    embed: scorers.Embed | None = None,
    labels: Sequence[Label] = (),
    previous: Previous | None = None,
) -> Evaluation:
    """Judges the responses of several models and decides about the tuned one.

    Args:
        responses: Responses by model; `tuned` is there, baselines may be.
        llm: The service LLM that judges.
        builder: Makes the requests; its settings rule the evaluation.
        judge_section: What the report says of the judge.
        embed: Turns texts into vectors; None leaves the scorer `embedding` out.
        labels: Human labels to measure the judge with; their responses are judged too.
        previous: The evaluation to compare with.

    Raises:
        UserError: The gate's split holds no response, or its scorer has no embedding model.
    """
    settings = builder.settings
    if settings.gate.scorer == scorers.EMBEDDING and embed is None:
        raise UserError(
            "evaluator.gate.scorer is 'embedding', and no embedding model is configured. Add an"
            " `embedder` (provider, model) to the configuration, or choose another scorer."
        )
    responses = dict(responses)
    if report.SERVICE in settings.baselines:
        responses[report.SERVICE] = service_responses(responses[report.TUNED], llm, builder)
    candidates = [_candidate(row) for rows in responses.values() for row in rows]
    labelled = [label.candidate for label in labels]
    judgements = judge([*candidates, *labelled], llm, builder, settings)
    rows = _verdict_rows(responses, judgements, embed)
    found, decision = report_on(
        rows,
        settings,
        judge_section=judge_section,
        previous=previous,
        calibration=calibrate(labels, judgements) if labels else None,
    )
    every = tuple(row for verdicts in rows.values() for row in verdicts)
    return Evaluation(every, decision, found)


def _candidate(row: ResponseRow) -> Candidate:
    return Candidate(row.prompt, row.output, row.response)


def _verdict_rows(
    responses: Mapping[str, Sequence[ResponseRow]],
    judgements: Mapping[Candidate, Judgement],
    embed: scorers.Embed | None,
) -> dict[str, list[VerdictRow]]:
    pairs = sorted({(row.output, row.response) for rows in responses.values() for row in rows})
    scores = dict(zip(pairs, scorers.score_all(pairs, embed), strict=True))
    return {
        model: [
            VerdictRow.of(model, row, judgements[_candidate(row)], scores[row.output, row.response])
            for row in rows
        ]
        for model, rows in responses.items()
    }


def report_on(
    rows: report.RowsByModel,
    settings: EvaluatorSettings,
    *,
    judge_section: Mapping[str, Any],
    previous: Previous | None = None,
    calibration: tuple[JudgeErrors, Mapping[str, Any]] | None = None,
) -> tuple[dict[str, Any], GateDecision]:
    """The report on verdicts, and what the gate says.

    Args:
        rows: The verdict rows by model; `tuned` is there.
        settings: The gate and the scorers' thresholds.
        judge_section: What the report says of the judge.
        previous: The evaluation to compare with.
        calibration: What `calibrate` returned.

    Raises:
        UserError: The gate's split holds no response.
    """
    found: dict[str, Any] = {
        "models": report.model_rates(rows),
        "judge": dict(judge_section),
        "scorers": report.scorer_section(rows, settings),
        "consistency": report.consistency_section(rows, settings),
        "baselines": report.baseline_section(rows),
        "change": None,
        "calibration": None,
    }
    if previous:
        found["change"] = report.change_section(
            previous.report, previous.rows, rows[report.TUNED], judge_section
        )
    if calibration:
        errors, section = calibration
        found["calibration"] = {**section, "corrected": report.corrected_section(rows, errors)}
    rates = _gate_rates(found, settings)
    decision = decide(rates, settings.gate)
    found["gate"] = settings.gate.model_dump() | {
        "rate": rates[settings.gate.split],
        "value_percent": decision.value_percent,
        "passed": decision.passed,
        "reasons": list(decision.reasons),
    }
    return found, decision


def _gate_rates(found: Mapping[str, Any], settings: EvaluatorSettings) -> Mapping[str, Any]:
    """The tuned model's rates by what the gate goes by, which may be a free scorer."""
    scorer = settings.gate.scorer
    models = found["models"] if scorer == "judge" else found["scorers"][scorer]["models"]
    rates: Mapping[str, Any] = models[report.TUNED]
    return rates
