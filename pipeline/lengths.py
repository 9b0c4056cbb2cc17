"""Lengths of the coverage rows in the model's own tokens, and the limits that must hold them."""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from components.executing import load_function
from core.base_model import RANDOM_PREFIX
from core.conversation import chat_messages
from core.errors import UserError
from core.families import chat_template_for, context_length
from core.family import ChatTemplate
from core.records import CoverageRow
from core.room import (
    MAX_OUTPUT_TOKENS,
    MAX_SEQUENCE_LENGTH,
    MIN_SEQUENCE_LENGTH,
    with_head_room,
)
from pipeline.config import Config

TOKENIZER_FN = "models.loading.tokenizer.load_tokenizer"

_BYTES_PER_TOKEN = 2  # where no tokenizer is at hand: fewer than in any language or format
_TEMPLATE_TOKENS = 12
_LISTED = 5


class Tokenizer(Protocol):
    """What `TOKENIZER_FN` returns."""

    start: str
    is_own: bool
    context_length: int | None

    def count(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text."""


class RowLengths(NamedTuple):
    """Tokens of the coverage rows, in their order.

    Attributes:
        prompts: With the chat template and the start token.
        outputs: With the end of the turn.
        is_own: Whether the model's own tokenizer counted them.
        start: The token before a prompt; empty without a tokenizer, and where nothing is.
        context: Tokens that the model reads at most.
    """

    prompts: tuple[int, ...]
    outputs: tuple[int, ...]
    is_own: bool
    start: str
    context: int

    @property
    def totals(self) -> list[int]:
        """Tokens of prompt and output together."""
        return [prompt + output for prompt, output in zip(self.prompts, self.outputs, strict=True)]


class Limits(NamedTuple):
    """What holds the rows.

    Attributes:
        sequence_length: Tokens of a training row.
        max_output_tokens: Tokens of a response.
    """

    sequence_length: int
    max_output_tokens: int


def measure(config: Config, rows: Sequence[CoverageRow], *, download: bool = False) -> RowLengths:
    """Count the tokens of rows as the model reads them.

    Args:
        config: Names the model.
        rows: The coverage dataset.
        download: Whether a tokenizer that is not on this machine may be downloaded.

    Raises:
        UserError: The model cannot be found.
    """
    training = config.training
    return _measure(training.preset, training.cache_dir, tuple(rows), download=download)


@functools.lru_cache(maxsize=1)
def _measure(
    preset: str, cache_dir: str, rows: tuple[CoverageRow, ...], *, download: bool
) -> RowLengths:
    load = load_function(TOKENIZER_FN, "TOKENIZER_FN")
    tokenizer: Tokenizer | None = load(preset, cache_dir, download=download)
    template = chat_template_for(preset)
    prompts = [prompt_text(row, template) for row in rows]
    outputs = [max((row.output, *row.references), key=len) for row in rows]
    if tokenizer is None:
        return RowLengths(
            tuple(_TEMPLATE_TOKENS + _rough(row.prompt) for row in rows),
            tuple(1 + _rough(output) for output in outputs),
            is_own=False,
            start="",
            context=context_length(preset),
        )
    return RowLengths(
        tuple(bool(tokenizer.start) + count for count in tokenizer.count(prompts)),
        tuple(1 + count for count in tokenizer.count(outputs)),
        tokenizer.is_own,
        tokenizer.start,
        min(tokenizer.context_length or context_length(preset), MAX_SEQUENCE_LENGTH),
    )


def prompt_text(row: CoverageRow, template: ChatTemplate) -> str:
    """Return the prompt as the model reads it, without the start token."""
    return template.text(chat_messages(row.prompt))


def _rough(text: str) -> int:
    return math.ceil(len(text.encode()) / _BYTES_PER_TOKEN)


def limits(config: Config, lengths: RowLengths) -> Limits:
    """Return the limits of the configuration, or those that the rows need with head room."""
    sequence, output = config.training.sequence_length, config.generation.max_output_tokens
    return Limits(
        sequence or with_head_room(max(lengths.totals), lengths.context, MIN_SEQUENCE_LENGTH),
        output or with_head_room(max(lengths.outputs), MAX_OUTPUT_TOKENS),
    )


def with_limits(config: Config, rows: Sequence[CoverageRow], *, download: bool = False) -> Config:
    """Return the configuration with limits that hold the rows, where it leaves them open.

    Args:
        config: A configuration.
        rows: The coverage dataset.
        download: See `measure`.

    Raises:
        UserError: Limits that the configuration sets do not hold the rows.
    """
    sequence, output = config.training.sequence_length, config.generation.max_output_tokens
    # The responses of a model for tests mean nothing at any length.
    if sequence and output and config.training.preset.startswith(RANDOM_PREFIX):
        return config
    lengths = measure(config, rows, download=download)
    raise_if_cut(config, rows, lengths)
    found = limits(config, lengths)
    training = config.training.model_copy(update={"sequence_length": found.sequence_length})
    generation = config.generation.model_copy(update={"max_output_tokens": found.max_output_tokens})
    return config.model_copy(update={"training": training, "generation": generation})


def raise_if_cut(config: Config, rows: Sequence[CoverageRow], lengths: RowLengths) -> None:
    """Refuse limits that rows do not fit: they could be neither learned nor answered in full.

    Lengths that another tokenizer counted, or that are of a random model for tests, refuse nothing.

    Raises:
        UserError: It names the rows and what to set.
    """
    problems = cut_rows(config, rows, lengths)
    if problems and lengths.is_own and not config.training.preset.startswith(RANDOM_PREFIX):
        raise UserError("\n".join(problems))


def cut_rows(config: Config, rows: Sequence[CoverageRow], lengths: RowLengths) -> list[str]:
    """Name the rows that the limits cut, a line for each limit."""
    found = limits(config, lengths)
    checked = (
        _Checked(
            "training.sequence_length",
            found.sequence_length,
            lengths.totals,
            lengths.context,
            "rows like them would be left out of the training",
            f"{config.training.preset} reads at most {lengths.context:,} tokens, prompt and output "
            "together",
        ),
        _Checked(
            "generation.max_output_tokens",
            found.max_output_tokens,
            lengths.outputs,
            MAX_OUTPUT_TOKENS,
            "responses would be cut off",
            f"No output here has more than {MAX_OUTPUT_TOKENS:,} tokens",
        ),
    )
    return [line for limit in checked for line in _cut_lines(limit, rows)]


class _Checked(NamedTuple):
    """A limit, what it holds, and what follows from rows that are longer.

    Attributes:
        name: The setting.
        limit: Its tokens.
        tokens: Of the rows.
        bound: The largest limit.
        effect: On rows longer than the limit.
        why: The bound is no larger.
    """

    name: str
    limit: int
    tokens: Sequence[int]
    bound: int
    effect: str
    why: str


def _cut_lines(checked: _Checked, rows: Sequence[CoverageRow]) -> list[str]:
    tokens, limit = checked.tokens, min(checked.limit, checked.bound)
    longer = [n for n, count in enumerate(tokens) if count > limit]
    longer.sort(key=tokens.__getitem__, reverse=True)
    hopeless = [n for n in longer if tokens[n] > checked.bound]
    lines = []
    if hopeless:
        which = "1 row has" if len(hopeless) == 1 else f"{len(hopeless):,} rows have"
        lines.append(
            f"{checked.why}, and {which} more: {_named(hopeless, rows, tokens)}. Shorten or delete "
            f"{'it' if len(hopeless) == 1 else 'them'}."
        )
    if others := longer[len(hopeless) :]:
        lines.append(
            f"{len(others):,} of {len(rows):,} rows do not fit {checked.name} ({limit:,} tokens): "
            f"{_named(others, rows, tokens)}; {checked.effect}. Set {checked.name} to null, which "
            f"takes the rows' own length, or to {tokens[others[0]]:,} or more."
        )
    return lines


def _named(found: Sequence[int], rows: Sequence[CoverageRow], tokens: Sequence[int]) -> str:
    more = ", …" if len(found) > _LISTED else ""
    return ", ".join(f"{rows[n].id} ({tokens[n]:,} tokens)" for n in found[:_LISTED]) + more
