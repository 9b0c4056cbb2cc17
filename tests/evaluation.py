"""Verdicts on the demonstration's coverage rows, as LLMEvaluator leaves them."""

import dataclasses
import random
from pathlib import Path

from core.records import TEST_SPLIT, CoverageRow, VerdictRow, Vote

_ROOT = Path(__file__).resolve().parents[1]
_DATASET = _ROOT / "data" / "coverage" / "support_triage" / "tickets.jsonl"
UNSCORED_ID = "t007"  # of the holdout


def coverage_rows(count):
    """Return the first rows that every round looks at."""
    lines = _DATASET.read_text(encoding="utf-8").splitlines()
    rows = [CoverageRow.from_json(line) for line in lines]
    return [row for row in rows if row.split != TEST_SPLIT][:count]


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
        "correctness": 5.0 if covered else 3.0,
        "reason": "The same." if covered else "The category of the two answers differs.",
        "votes": _votes(covered),
        "scores": {"exact_match": float(response == row.output), "json_fields": None},
    }
    return VerdictRow(**(values | changes))


def _votes(covered):
    scores = ((5, 5), (5, 5)) if covered else ((3, 3), (2, 3))
    return tuple(
        Vote(similarity, correctness, 5, f"Vote from place {place}.", place)
        for (similarity, correctness), place in zip(scores, "ab", strict=True)
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
            correctness=None,
            reason="0 of 2 votes could be read (refused).",
        )
        if row.id == UNSCORED_ID
        else row
        for row in found["tuned"]
    ]
    return found
