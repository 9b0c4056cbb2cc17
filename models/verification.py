"""Whether a model that was written is the model that was trained: logits and greedy tokens.

The trained model continues fixed prompts greedily. A reloaded model is given the same tokens: where
its likeliest token is the trained model's at every position, it would have generated the same text.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from models import data
from models.errors import ModelError
from models.features import TurnTemplate
from models.preprocessing import format_prompts
from models.training_model import response_model

PROMPTS = (
    "Where is my order?",
    'Grüße! 注文はどこ? 😀\n\t{"total": [1, 2.50], "vip": null}',
)
_STEPS = 12  # tokens that each prompt is continued with
# Largest difference of a logit, as a share of the largest logit. Merging the LoRA factors rounds
# the weights once more, to 8 bits in bfloat16 and in int8.
_TOLERANCE = {"float32": 1e-3}
_ROUNDED_TOLERANCE = 0.1


@dataclasses.dataclass(frozen=True)
class Prompt:
    """A prompt and what the trained model makes of it.

    Attributes:
        text: Raw prompt; None for a row of the training.
        formatted: The prompt as the model reads it; None for a row of the training.
        tokens: Beginning of sequence and formatted prompt.
        continuation: The likeliest next tokens, to the end of the turn or as many as are compared.
        logits: Float32 of shape `(tokens of the continuation, vocabulary)`.
    """

    text: str | None
    formatted: str | None
    tokens: tuple[int, ...]
    continuation: tuple[int, ...]
    logits: data.Array


@dataclasses.dataclass(frozen=True)
class Verification:
    """How a written model compares with the trained one.

    Attributes:
        logit_difference: The largest, as a share of the largest logit.
        tokens: Greedy tokens that were compared.
        ties: Those that differ where rounding decides: both tokens have the same logit within the
            tolerance.
        facts: What else is worth knowing of the format, as JSON values.
    """

    logit_difference: float
    tokens: int
    ties: int
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What `training.json` keeps."""
        return {
            "verified": True,
            "largest_logit_difference": round(self.logit_difference, 6),
            "greedy_tokens": self.tokens,
            "greedy_ties": self.ties,
            **self.facts,
        }


class Verifier:
    """Knows what the trained model computes, and compares others with it.

    Args:
        model: The trained model, a KerasHub causal language model.
        template: How it is prompted.
        rows: Rows of the training, of which the longest is compared too.
    """

    def __init__(
        self, model: Any, template: TurnTemplate, rows: Sequence[data.TokenizedRow] = ()
    ) -> None:
        self.template = template
        tokenizer = model.preprocessor.tokenizer
        self.stops = {int(tokenizer.end_token_id), data.end_token_id(tokenizer, template)}
        texts = [text.decode() for text in format_prompts(list(PROMPTS), template).numpy()]
        starts = [(int(tokenizer.start_token_id), *ids) for ids in data.encode(texts, tokenizer)]
        longest = sorted(rows, key=lambda row: len(row.tokens))[-1:]
        starts += [row.tokens[: row.response_start] for row in longest]
        unnamed = [None] * len(longest)
        columns = ([*PROMPTS, *unnamed], [*texts, *unnamed], starts)
        continued = _continue(model, starts, self.stops)
        self.prompts = tuple(
            Prompt(text, formatted, start, *end)
            for text, formatted, start, end in zip(*columns, continued, strict=True)
        )
        self.dtype = str(model.backbone.token_embedding.variable_dtype)
        is_exact = self.dtype == "float32" and not _is_quantized(model)
        self.tolerance = _TOLERANCE["float32"] if is_exact else _ROUNDED_TOLERANCE
        self.largest_logit = max(float(np.abs(prompt.logits).max()) for prompt in self.prompts)

    @property
    def fixed(self) -> tuple[Prompt, ...]:
        """The prompts of `PROMPTS`, which are those with a text."""
        return tuple(prompt for prompt in self.prompts if prompt.text is not None)

    def compare_model(self, name: str, backbone: Any) -> Verification:
        """Compare a reloaded KerasHub backbone.

        Raises:
            ModelError: It is another model.
        """
        rows = [
            data.TokenizedRow((*p.tokens, *p.continuation), len(p.tokens)) for p in self.prompts
        ]
        inputs, _ = next(data.batches(rows, len(rows), None))
        logits = _numpy(response_model(_Backbone(backbone))(inputs))
        # `batches` puts shorter rows first.
        order = sorted(range(len(rows)), key=lambda i: len(rows[i].tokens))
        ends = np.cumsum([len(self.prompts[i].continuation) for i in order])
        found = dict(zip(order, np.split(logits, ends[:-1]), strict=True))
        return self.compare(name, [found[i] for i in range(len(rows))])

    def compare(
        self, name: str, logits: Sequence[data.Array], tolerance: float | None = None
    ) -> Verification:
        """Compare logits at the positions of the continuations.

        Args:
            name: What was written.
            logits: For each prompt, or the first ones, of the shape of its `logits`, or of the
                first positions only.
            tolerance: Largest difference as a share of the largest logit; None for the one of
                the trained model's precision.

        Raises:
            ModelError: They are not the trained model's.
        """
        tolerance = self.tolerance if tolerance is None else tolerance
        largest, tokens, ties = 0.0, 0, 0
        for prompt, found in zip(self.prompts, logits, strict=False):
            wanted = prompt.logits[: len(found)]
            largest = max(largest, float(np.abs(found - wanted).max()) / self.largest_logit)
            for at, token in zip(wanted, found.argmax(axis=-1), strict=True):
                gap = float(at.max() - at[token]) / self.largest_logit
                ties += gap > 0
                if gap > tolerance:
                    self._refuse(name, f"continue {prompt.text!r} with other tokens")
            tokens += len(found)
        if not largest <= tolerance:
            self._refuse(
                name,
                f"give other logits: they differ by {largest:.2g} of the largest, and "
                f"{tolerance:g} is rounding",
            )
        return Verification(largest, tokens, ties)

    def _refuse(self, name: str, what: str) -> None:
        raise refusal(name, what)


def refusal(name: str, what: str) -> ModelError:
    """The error of an export that is not the trained model.

    Args:
        name: What was written.
        what: What the written model does, in the plural.
    """
    return ModelError(
        f"The weights that were written as {name!r} {what}. Nothing was exported. This is a defect "
        "of the export, not of your data; leave the format out of training.exports, or set "
        "training.dtype=float32. The training is kept in its checkpoint and not repeated."
    )


class _Backbone:
    def __init__(self, backbone: Any) -> None:
        self.backbone = backbone


def _continue(
    model: Any, starts: Sequence[tuple[int, ...]], stops: set[int]
) -> list[tuple[tuple[int, ...], data.Array]]:
    """The likeliest next tokens of each start, one forward pass of all for each step."""
    step = response_model(model)
    rows = [list(start) for start in starts]
    logits: list[list[data.Array]] = [[] for _ in rows]
    is_done = [False] * len(rows)
    length = max(map(len, rows)) + _STEPS
    for _ in range(_STEPS):
        token_ids = np.zeros((len(rows), length), "int32")
        for i, row in enumerate(rows):
            token_ids[i, : len(row)] = row
        mask = np.arange(length)[None, :] < np.array([len(row) for row in rows])[:, None]
        positions = np.array([i * length + len(row) - 1 for i, row in enumerate(rows)], "int32")
        inputs = {"token_ids": token_ids, "padding_mask": mask, "positions": positions}
        for i, at in enumerate(_numpy(step(inputs))):
            if not is_done[i]:
                logits[i].append(at)
                rows[i].append(int(at.argmax()))
                is_done[i] = rows[i][-1] in stops
        if all(is_done):
            break
    return [
        (tuple(row[len(start) :]), np.stack(of_row))
        for row, start, of_row in zip(rows, starts, logits, strict=True)
    ]


def _numpy(logits: Any) -> data.Array:
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(logits, "float32")))


def _is_quantized(model: Any) -> bool:
    return any(layer.quantization_mode for layer in model.backbone._flatten_layers())
