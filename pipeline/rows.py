"""The rows of a round in the terminal: those that were kept, and those that a filter dropped."""

import os
import textwrap
from collections import Counter
from pathlib import Path

from components.examples_io import read_examples
from core import artifact_files
from core.conversation import transcript
from core.errors import UserError
from core.jsonl import read_rows
from core.records import CoverageRow
from core.storage import read_text
from core.synthetic_records import SYNTHETIC_SPLITS, Dropped, SyntheticRow
from pipeline.config import Config
from pipeline.local.output_dir import OutputPaths, read_summary
from pipeline.local.pauses import paused_rows
from task.coverage.reader import read_coverage

_WIDTH = 100


def synthetic_uri(config: Config, preset: str, round: int | None) -> str:
    """Return the folder of a round's training rows.

    Args:
        config: The configuration of the run.
        preset: Its preset, for messages.
        round: The round, from 1; None for the last one.

    Raises:
        UserError: There is no such round.
    """
    output = Path(config.output_dir)
    paths = OutputPaths(output)
    # A paused run has no summary of its last round yet.
    paused = paused_rows(paths.review)
    finished = len(read_summary(output, preset).rounds) if paths.summary.exists() else 0
    if paused and paused.round > finished and round in (None, paused.round):
        return paused.uri
    summary = read_summary(output, preset)
    found = summary.rounds[-1] if round is None else summary.find(round)
    return found.artifacts.synthetic


def dropped_text(config: Config, uri: str, *, reason: str | None, count: int, as_json: bool) -> str:
    """Show what the filters of a round dropped.

    Args:
        config: The configuration of the run; its coverage dataset has the texts of near rows.
        uri: See `synthetic_uri`.
        reason: The only reason to show; None for all.
        count: Maximum entries.
        as_json: Whether to print each as a line of JSON, without the texts of coverage rows.

    Raises:
        UserError: Nothing was dropped for that reason, or the file cannot be read.
    """
    path = os.path.join(uri, artifact_files.QUARANTINE)
    entries = read_rows(read_text(path), path, Dropped.from_json)
    reasons = Counter(entry.reason for entry in entries)
    named = ", ".join(f"{name} ({n})" for name, n in reasons.most_common()) or "none"
    if reason is not None and reason not in reasons:
        raise UserError(f"Nothing was dropped as {reason!r}. Reasons in this round: {named}.")
    chosen = [entry for entry in entries if reason in (None, entry.reason)]
    if as_json:
        return "\n".join(entry.to_json() for entry in chosen[:count])
    coverage = {row.id: row for row in read_coverage(config.coverage_dir)}
    blocks = [_dropped_block(entry, coverage.get(entry.nearest_id)) for entry in chosen[:count]]
    blocks.append(f"{len(blocks)} of {len(chosen)} shown. Dropped in this round: {named}.")
    return "\n\n".join(blocks)


def kept_text(uri: str, *, count: int, as_json: bool) -> str:
    """Show training rows, those of the last round first.

    Args:
        uri: See `synthetic_uri`.
        count: Maximum rows.
        as_json: Whether to print each as a line of JSON.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    rows = [
        SyntheticRow.from_features(features)
        for split in SYNTHETIC_SPLITS
        for features in read_examples(uri, split)
    ]
    rows.sort(key=lambda row: -row.round)
    if as_json:
        return "\n".join(row.to_json() for row in rows[:count])
    blocks = [
        "\n".join(
            [
                f"{row.id}: round {row.round}, {row.origin.source}",
                *_indented("prompt", transcript(row.prompt)),
                *_indented("output", row.output),
            ]
        )
        for row in rows[:count]
    ]
    return "\n\n".join([*blocks, f"{len(blocks)} of {len(rows)} rows shown."])


def _dropped_block(entry: Dropped, near: CoverageRow | None) -> str:
    lines = [f"{entry.reason} ({entry.source}): {entry.detail}"]
    lines += _indented("prompt", transcript(entry.prompt))
    lines += _indented("output", entry.output)
    if near is not None:
        lines += _indented(f"near the {near.split} row {near.id}", transcript(near.prompt))
        lines += _indented("whose output is", near.output)
    elif entry.nearest_id:
        lines += _indented("near the coverage row", entry.nearest_id)
    lines += _indented("near the row", entry.nearest_text)
    return "\n".join(lines)


def _indented(name: str, text: str) -> list[str]:
    if not text:
        return []
    shown = " ".join(text.split())
    return textwrap.wrap(
        f"{name}: {shown}", _WIDTH, initial_indent="  ", subsequent_indent="      "
    )
