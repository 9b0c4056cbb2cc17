"""Builds `coverage_report.json` from verdict rows; reading and writing files is left to others."""

import dataclasses
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from components.llm_evaluator import templates
from components.llm_evaluator.agreement import agreement
from components.llm_evaluator.calibration import JudgeErrors, corrected_rate
from components.llm_evaluator.comparison import compare, relative_rate
from components.llm_evaluator.rates import observed, rates
from components.llm_evaluator.scorers import EMBEDDING, thresholds
from components.llm_evaluator.settings import EvaluatorSettings
from components.llm_evaluator.verdicts import VerdictRow, aggregate
from components.records import COVERAGE_SPLITS

TUNED = "tuned"
BASE = "base"
FEW_SHOT = "few_shot"
SERVICE = "service"
OVERALL = "overall"

RowsByModel = Mapping[str, Sequence[VerdictRow]]


def judge_section(provider: str, model: str, settings: EvaluatorSettings) -> dict[str, Any]:
    """Everything that a verdict depends on besides the texts that were judged."""
    return {
        "provider": provider,
        "model": model,
        "votes": settings.votes,
        "temperature": settings.temperature,
        "similarity_threshold": settings.similarity_threshold,
        "precision_threshold": settings.precision_threshold,
        "prompt_version": templates.VERSIONS[templates.JUDGE],
        "judge_exact_matches": settings.judge_exact_matches,
    }


def model_rates(rows: RowsByModel) -> dict[str, Any]:
    """Every model's coverage rates as the judge sees them."""
    return {model: rates(verdicts, COVERAGE_SPLITS) for model, verdicts in rows.items()}


def scorer_section(rows: RowsByModel, settings: EvaluatorSettings) -> dict[str, Any]:
    """Rates by each scorer, and how far the judge agrees with it on all models' responses."""
    section = {}
    embedded = any(EMBEDDING in row.scores for verdicts in rows.values() for row in verdicts)
    for name, threshold in thresholds(settings).items():
        if name == EMBEDDING and not embedded:
            continue
        by_scorer = {m: rows_by_scorer(verdicts, name, threshold) for m, verdicts in rows.items()}
        pairs = [
            (judged.covered, scored.covered)
            for model, verdicts in rows.items()
            for judged, scored in zip(verdicts, by_scorer[model], strict=True)
            if judged.scored and scored.scored
        ]
        judge, scorer = ([pair[side] for pair in pairs] for side in (0, 1))
        section[name] = {
            "threshold": threshold,
            "models": model_rates(by_scorer),
            "agreement": dataclasses.asdict(agreement(judge, scorer)),
        }
    return section


def rows_by_scorer(rows: Iterable[VerdictRow], name: str, threshold: float) -> list[VerdictRow]:
    """The rows as if that scorer had been the judge; unscored where it does not apply."""
    scores = [(row, row.scores.get(name)) for row in rows]
    return [
        dataclasses.replace(
            row, covered=score is not None and score >= threshold, scored=score is not None
        )
        for row, score in scores
    ]


def consistency_section(
    rows: RowsByModel, settings: EvaluatorSettings
) -> dict[str, int | list[str]]:
    """What the votes say about the judge and the coverage dataset.

    Returns:
        `responses`: different responses with votes in both orders; `order_flips`: those that the
        two orders decide differently; `doubtful_outputs`: ids of coverage rows whose desired output
        the judge itself holds to be below the precision threshold.
    """
    distinct = {
        (row.id, row.response): row for verdicts in rows.values() for row in verdicts if row.votes
    }
    both = flips = 0
    precisions: dict[str, list[int]] = {}
    for row in distinct.values():
        by_position = [[v for v in row.votes if v.candidate_position == p] for p in ("a", "b")]
        if all(by_position):
            both += 1
            first, second = (aggregate(votes, settings).covered for votes in by_position)
            flips += first != second
        precisions.setdefault(row.id, []).extend(vote.output_precision for vote in row.votes)
    doubtful = sorted(
        key
        for key, values in precisions.items()
        if statistics.median(values) < settings.precision_threshold
    )
    return {"responses": both, "order_flips": flips, "doubtful_outputs": doubtful}


def baseline_section(rows: RowsByModel) -> dict[str, Any]:
    """The tuned model beside each baseline on the same prompts, by `overall` and split.

    Returns:
        For each baseline `change`, the paired comparison with it, and for the service LLM also
        `relative`, the tuned model's coverage in percent of the service LLM's.
    """
    section: dict[str, Any] = {}
    for model in rows:
        if model == TUNED:
            continue
        for part in (OVERALL, *COVERAGE_SPLITS):
            before, now = (_part(rows[name], part) for name in (model, TUNED))
            entry = {"change": dataclasses.asdict(compare(before, now))}
            if model == SERVICE:
                entry["relative"] = dict(relative_rate(now, before))
            section.setdefault(model, {})[part] = entry
    return section


def change_section(
    previous: Mapping[str, Any],
    previous_rows: Sequence[VerdictRow],
    rows: Sequence[VerdictRow],
    judge: Mapping[str, Any],
) -> dict[str, Any]:
    """The tuned model beside the one of the round before.

    Args:
        previous: The earlier `coverage_report.json`.
        previous_rows: Its verdicts on the tuned model.
        rows: The verdicts of this round on the tuned model.
        judge: This round's `judge_section`.

    Returns:
        `previous_round`, `same_judge` (where not, part of the change may be the judge's), and the
        paired comparison by `overall` and split.
    """
    return {
        "previous_round": previous["round"],
        "same_judge": previous["judge"] == judge,
        **{
            part: dataclasses.asdict(compare(_part(previous_rows, part), _part(rows, part)))
            for part in (OVERALL, *COVERAGE_SPLITS)
        },
    }


def corrected_section(rows: RowsByModel, errors: JudgeErrors) -> dict[str, Any]:
    """Every model's rates freed of the judge's bias, by `overall` and split; None where unknown."""
    section: dict[str, Any] = {}
    for model, verdicts in rows.items():
        for part in (OVERALL, *COVERAGE_SPLITS):
            corrected = corrected_rate(*observed(_part(verdicts, part)), errors)
            values = dataclasses.asdict(corrected) if corrected else None
            section.setdefault(model, {})[part] = values
    return section


def _part(rows: Sequence[VerdictRow], part: str) -> list[VerdictRow]:
    return [row for row in rows if part in (OVERALL, row.split)]
