"""What `check` says of token lengths, and one row as the model reads it."""

import statistics
import textwrap
from collections.abc import Sequence

from core.families import chat_template_for
from core.records import SEED_SPLIT, CoverageRow
from core.room import MIN_SEQUENCE_LENGTH
from core.terminal import WIDTH
from pipeline.config import Config
from pipeline.lengths import RowLengths, cut_rows, limits, prompt_text

_BORDER = "  | "
_SHOWN_LINES = 30
_WITH_ROOM = "the longest one here plus a quarter, rounded up to a multiple of 32"


def length_lines(config: Config, rows: Sequence[CoverageRow], lengths: RowLengths) -> list[str]:
    """Describe the tokens of the rows and the limits that hold them.

    Args:
        config: Names the model and the limits.
        rows: The coverage dataset.
        lengths: Of the rows.
    """
    return [
        f"Token lengths, {_source(config, lengths)}: prompts {_spread(lengths.prompts)} with the "
        f"chat template; outputs {_spread(lengths.outputs)} with the end of the turn.",
        *_limit_lines(config, lengths),
        *cut_rows(config, rows, lengths),
    ]


def model_view(config: Config, rows: Sequence[CoverageRow], lengths: RowLengths) -> list[str]:
    """Show the seed of median length as the model reads it in training, special tokens included."""
    totals = lengths.totals
    seeds = sorted(
        (n for n, row in enumerate(rows) if row.split == SEED_SPLIT), key=totals.__getitem__
    )
    shown = seeds[len(seeds) // 2]
    template = chat_template_for(config.training.preset)
    row = rows[shown]
    text = f"{lengths.start}{prompt_text(row, template)}{row.output}{template.end}"
    lines = [part for line in text.split("\n") for part in _wrapped(line)]
    if len(lines) > _SHOWN_LINES:
        half = _SHOWN_LINES // 2
        lines = [*lines[:half], f"… {len(lines) - 2 * half} lines …", *lines[-half:]]
    about = "" if lengths.is_own else "about "
    head = f"One row as the model reads it ({row.id}, {about}{totals[shown]:,} tokens):"
    return [head, *(f"{_BORDER}{line}" for line in lines)]


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(
        line,
        WIDTH - len(_BORDER),
        drop_whitespace=False,
        replace_whitespace=False,
        expand_tabs=False,
        break_on_hyphens=False,
    ) or [""]


def _source(config: Config, lengths: RowLengths) -> str:
    preset = config.training.preset
    if lengths.is_own:
        return f"counted with the tokenizer of {preset}"
    if lengths.start:
        return (
            f"about, counted with the packaged Gemma's tokenizer (that of {preset} is not on this "
            "machine, and check downloads none; a run counts again)"
        )
    return (
        f"at most (the tokenizer of {preset} is not on this machine, and check downloads none; "
        "a run counts)"
    )


def _spread(counts: Sequence[int]) -> str:
    if min(counts) == max(counts):
        return f"{min(counts):,} each"
    return f"{min(counts):,} to {max(counts):,}, median {statistics.median_high(counts):,}"


def _limit_lines(config: Config, lengths: RowLengths) -> list[str]:
    found = limits(config, lengths)
    row, response = max(lengths.totals), max(lengths.outputs)
    return [
        f"Limit of a row: training.sequence_length {found.sequence_length:,}, "
        f"{_row_reason(config, lengths, found.sequence_length)}; the longest row here has {row:,}.",
        f"Limit of a response: generation.max_output_tokens {found.max_output_tokens:,}, "
        f"{'as set' if config.generation.max_output_tokens else _WITH_ROOM}; the longest output "
        f"here has {response:,}.",
    ]


def _row_reason(config: Config, lengths: RowLengths, limit: int) -> str:
    if config.training.sequence_length:
        return "as set"
    if limit == lengths.context:
        return "all that the model reads"
    if limit == MIN_SEQUENCE_LENGTH:
        return (
            "the least that a run takes by itself: new rows may be longer, and unused room is free"
        )
    return _WITH_ROOM
