"""Renders the evaluation page; the page of a loop of rounds includes the same sections."""

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

from markupsafe import Markup

from core.conversation import transcript
from core.records import VerdictRow
from core.reports.coverage import TUNED, CoverageReport
from reports import wording
from reports.evaluation_page.tag_chart import TagLine, draw_tags, tag_lines
from reports.theme import render_page

TEMPLATES = Path(__file__).parent / "templates"
SCRIPT = TEMPLATES / "prompts.js"


def render_evaluation(
    report: CoverageReport, verdicts: Sequence[VerdictRow], *, run_page: str | None = None
) -> str:
    """Render the page.

    Args:
        report: The report.
        verdicts: Its verdict rows, of all models, those of the last look included.
        run_page: Address of the report of the run; None where there is none.
    """
    return render_page(
        TEMPLATES / "evaluation.html.j2",
        scripts=[SCRIPT],
        caveat=wording.caveat(report.gate),
        run_page=run_page,
        notice=wording.STAND_IN_NOTICE if report.stand_in else None,
        **evaluation_values(report, verdicts),
    )


def evaluation_values(
    report: CoverageReport, verdicts: Sequence[VerdictRow]
) -> dict[str, CoverageReport | list[TagLine] | list[str] | Markup | str]:
    """Make the variables of the sections on an evaluation; see `render_evaluation`."""
    rows = {
        "models": {row.model: wording.model_name(row.model) for row in verdicts},
        "thresholds": (report.judge.similarity_threshold, report.judge.correctness_threshold),
        "previous": report.change.previous_round if report.change else None,
        "suspect": report.consistency.suspect_references if report.consistency else (),
        "rows": _rows(report, verdicts),
    }
    tags = tag_lines(report)
    return {
        "report": report,
        "tags": tags,
        "tag_chart": draw_tags(tags) if tags else "",
        "row_splits": sorted({row.split for row in verdicts}),
        "row_tags": list(dict.fromkeys([*(line.tag for line in tags), *_tags(verdicts)])),
        "rows_json": _json_block(rows),
    }


def _tags(verdicts: Sequence[VerdictRow]) -> list[str]:
    return sorted({tag for row in verdicts for tag in row.tags})


def _rows(report: CoverageReport, verdicts: Sequence[VerdictRow]) -> list[dict[str, object]]:
    """Return one row for each answer of the tuned model, with all models' answers to its prompt."""
    others: dict[str, list[VerdictRow]] = defaultdict(list)
    for row in verdicts:
        if row.model != TUNED:
            others[row.id].append(row)
    changed = {}
    if report.change:
        changed = dict.fromkeys(report.change.overall.gained_ids, "gained")
        changed |= dict.fromkeys(report.change.overall.lost_ids, "lost")
    return [
        {
            "id": row.id,
            "sample": row.sample,
            "split": row.split,
            "tags": row.tags,
            "prompt": transcript(row.prompt),
            "reference": row.output,
            "others": row.references,
            "changed": changed.get(row.id, ""),
            "answers": {
                given.model: _answer(given, report.scorers)
                for given in (row, *_matching(others[row.id], row.sample))
            },
        }
        for row in sorted(verdicts, key=lambda row: (row.id, row.sample))
        if row.model == TUNED
    ]


def _answer(row: VerdictRow, scorers: Collection[str]) -> dict[str, object]:
    return {
        "text": row.response,
        "cut": row.finish == "length",
        "verdict": wording.verdict(row),
        "scored": row.scored,
        "similarity": row.similarity,
        "correctness": row.correctness,
        "reason": row.reason,
        "votes": [
            (
                vote.similarity,
                vote.correctness,
                vote.reference_correctness,
                "first" if vote.position == "a" else "second",
                vote.reason,
            )
            for vote in row.votes
        ],
        "scores": [
            f"{wording.scorer_name(name)} {'does not apply' if value is None else f'{value:.3g}'}"
            for name, value in row.scores.items()
            if name in scorers
        ],
    }


def _json_block(value: object) -> Markup:
    """Write JSON that stays data inside a script element, whatever is in its texts."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # nothing in it can end the element


def _matching(rows: Sequence[VerdictRow], sample: int) -> list[VerdictRow]:
    """Return each baseline's answer of that sample, or its only one."""
    by_model: dict[str, VerdictRow] = {}
    for row in rows:
        if row.model not in by_model or row.sample == sample:
            by_model[row.model] = row
    return list(by_model.values())
