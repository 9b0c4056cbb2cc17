"""Compares two runs: the settings that differ, the rates of their kept rounds, a paired test."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pydantic

from core import artifact_files
from core.jsonl import read_rows
from core.records import TEST_SPLIT, VerdictRow
from core.reports.coverage import TUNED
from core.reports.loop import LoopSummary
from core.reports.rates import OVERALL, SPLITS, RateEstimate
from core.storage import read_text
from judging.comparison import compare
from judging.rates import rate
from judging.strict import strict_kind, strict_part
from pipeline.local.output_dir import read_summary
from reports import wording

# The unbiased rate first.
_SPLITS = (TEST_SPLIT, *SPLITS)
_ABSENT = "(not set)"
# Where a run is kept says nothing about what it did.
_PLACES = frozenset({"output_dir"})


def compare_text(first: Path, second: Path) -> str:
    """Compare the kept rounds of two runs.

    Args:
        first: Output folder of the run to compare with.
        second: Output folder of the other run; differences are its values minus the first's.

    Raises:
        UserError: A folder holds no finished run, or a file of it is damaged.
    """
    runs = [read_summary(folder) for folder in (first, second)]
    verdicts = [_tuned_rows(run) for run in runs]
    blocks = [
        _heads(runs, (first, second)),
        _settings(runs),
        _judges(runs),
        "Rates of the tuned model by the judge:",
        *_rates(verdicts),
        *_strict(verdicts),
        *_unequal_rows(verdicts),
    ]
    return "\n".join(blocks)


def differing_settings(
    first: Mapping[str, pydantic.JsonValue], second: Mapping[str, pydantic.JsonValue]
) -> dict[str, tuple[str, str]]:
    """Return the settings that differ, by dotted path, each with both values as JSON."""
    one, other = (dict(_leaves(dict(config), "")) for config in (first, second))
    paths = [*one, *(path for path in other if path not in one)]
    values = {path: (one.get(path, _ABSENT), other.get(path, _ABSENT)) for path in paths}
    return {path: pair for path, pair in values.items() if pair[0] != pair[1]}


def _leaves(value: pydantic.JsonValue, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, child in value.items():
            yield from _leaves(child, f"{path}.{key}" if path else key)
    elif path not in _PLACES:
        yield path, json.dumps(value, ensure_ascii=False)


def _heads(runs: Sequence[LoopSummary], folders: Sequence[Path]) -> str:
    lines = [
        f"{letter}  {folder}: task {run.task}, round {run.best_round} of {len(run.rounds)}"
        f" ({run.created})"
        for letter, run, folder in zip("AB", runs, folders, strict=True)
    ]
    return "\n".join(lines)


def _settings(runs: Sequence[LoopSummary]) -> str:
    differing = differing_settings(runs[0].config, runs[1].config)
    if not differing:
        return "\nNo setting differs."
    lines = [f"  {path}: {first} -> {second}" for path, (first, second) in differing.items()]
    return "\n".join(["\nSettings that differ (A -> B):", *lines])


def _judges(runs: Sequence[LoopSummary]) -> str:
    first, second = (run.best.report.judge for run in runs)
    if first == second:
        return ""
    return "\nThe judges differ, so part of the difference may be the judges'.\n"


def _tuned_rows(run: LoopSummary) -> list[VerdictRow]:
    report = run.best.artifacts.report
    names = [artifact_files.VERDICTS]
    if run.best.report.last_look:
        names.append(artifact_files.TEST_VERDICTS)
    paths = [os.path.join(report, name) for name in names]
    rows = [r for path in paths for r in read_rows(read_text(path), path, VerdictRow.from_json)]
    return [row for row in rows if row.model == TUNED]


def _rates(verdicts: Sequence[Sequence[VerdictRow]]) -> Iterator[str]:
    for split in _SPLITS:
        parts = [_of_split(rows, split) for rows in verdicts]
        if not any(parts):
            continue
        first, second = (_rate(rate(part)) if part else "-" for part in parts)
        yield f"  {split}: {first} -> {second}"
        change = compare(*parts)
        if change.prompts:
            yield f"    on the same {change.prompts} prompts: {wording.comparison(change)}"


def _strict(verdicts: Sequence[Sequence[VerdictRow]]) -> Iterator[str]:
    kind = strict_kind({row.id: row.output for rows in verdicts for row in rows}.values())
    if kind is None:
        return
    yield "\nStrict rates (equal to the reference), and fields:"
    for split in _SPLITS:
        first, second = (strict_part(_of_split(rows, split), kind) for rows in verdicts)
        if not first.rate.total or not second.rate.total:
            continue
        yield f"  {split}: {_rate(first.rate)} -> {_rate(second.rate)}"
        for name, field in first.fields.items():
            if name in second.fields:
                other = second.fields[name].accuracy
                yield f"    {name}: {_rate(field.accuracy)} -> {_rate(other)}"


def _unequal_rows(verdicts: Sequence[Sequence[VerdictRow]]) -> Iterator[str]:
    """Say which prompts only one run judged, and which have another reference there."""
    first, second = ({row.id: row.output for row in rows} for rows in verdicts)
    only = [len(first.keys() - second.keys()), len(second.keys() - first.keys())]
    if any(only):
        yield f"\nPrompts that only one run judged: {only[0]} in A, {only[1]} in B."
    changed = sorted(key for key in first.keys() & second.keys() if first[key] != second[key])
    if changed:
        yield f"\nThe references of {len(changed)} prompts differ: {', '.join(changed)}."


def _rate(value: RateEstimate) -> str:
    return (
        f"{wording.percent(value.rate_percent)} ({wording.percent(value.low_percent)} to "
        f"{wording.percent(value.high_percent)})"
    )


def _of_split(rows: Sequence[VerdictRow], split: str) -> list[VerdictRow]:
    """Return the rows of a split; overall are those that every round looks at."""
    if split == OVERALL:
        return [row for row in rows if row.split != TEST_SPLIT]
    return [row for row in rows if row.split == split]
