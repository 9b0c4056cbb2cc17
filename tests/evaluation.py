"""Verdicts on the demonstration's coverage rows, as LLMEvaluator leaves them."""

import dataclasses
import random
from pathlib import Path

from components.llm_evaluator.verdicts import VerdictRow, Vote
from components.records import CoverageRow

_ROOT = Path(__file__).resolve().parents[1]
_DATASET = _ROOT / "data" / "coverage" / "support_triage" / "tickets.jsonl"
UNSCORED_ID = "t005"


def coverage_rows(count):
    lines = _DATASET.read_text(encoding="utf-8").splitlines()[:count]
    return [CoverageRow.from_json(line) for line in lines]


def verdict(row, model, covered, **changes):
    response = row.output if covered else row.output.replace('"category": "', '"category": "not_')
    values = {
        **dataclasses.asdict(row),
        "model": model,
        "response": response,
        "finish": "stop",
        "sample": 0,
        "covered": covered,
        "scored": True,
        "similarity": 5.0 if covered else 2.5,
        "precision": 5.0 if covered else 3.0,
        "reason": "The same." if covered else "The category of the two answers differs.",
        "votes": _votes(covered),
        "scores": {"exact_match": float(response == row.output), "json_fields": None},
    }
    return VerdictRow(**(values | changes))


def _votes(covered):
    scores = ((5, 5), (5, 5)) if covered else ((3, 3), (2, 3))
    return tuple(
        Vote(similarity, precision, 5, f"Vote from place {place}.", place)
        for (similarity, precision), place in zip(scores, "ab", strict=True)
    )


def verdicts_of(rows, shares, seed):
    """Verdict rows of several models, each covering about its share; one is unscored."""
    rng = random.Random(seed)
    found = {
        model: [verdict(row, model, rng.random() < share) for row in rows]
        for model, share in shares.items()
    }
    found["tuned"] = [
        dataclasses.replace(
            row,
            response=row.output,
            votes=(),
            scores={"exact_match": 1.0, "json_fields": None},
            covered=False,
            scored=False,
            similarity=None,
            precision=None,
            reason="0 of 2 votes could be read (refused).",
        )
        if row.id == UNSCORED_ID
        else row
        for row in found["tuned"]
    ]
    return found
