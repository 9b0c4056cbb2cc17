"""Compares a model that was written with the trained model: logits and greedy tokens.

The trained model continues fixed prompts greedily. A reloaded model is given the same tokens: where
its likeliest token is the trained model's at every position, it would have generated the same text.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import keras
import numpy as np
from keras_hub.models import Backbone, CausalLM

from core.errors import ModelError
from core.family import ChatTemplate
from models import data
from models.preprocessing import format_prompts
from models.training.loss import lm_with_response_positions

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
    """A prompt and its continuation by the trained model.

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
        facts: Further facts of the format, as JSON values.
    """

    logit_difference: float
    tokens: int
    ties: int
    facts: Mapping[str, object] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return what `training.json` keeps."""
        return {
            "verified": True,
            "largest_logit_difference": round(self.logit_difference, 6),
            "greedy_tokens": self.tokens,
            "greedy_ties": self.ties,
            **self.facts,
        }


class Verifier:
    """Compares models with the trained one.

    Args:
        model: The trained model.
        template: How it is prompted.
        rows: Rows of the training, of which the longest is compared too.

    Raises:
        ModelError: The trained model's logits are not finite.
    """

    def __init__(
        self,
        model: CausalLM,
        template: ChatTemplate,
        rows: Sequence[data.TokenizedRow] = (),
    ) -> None:
        self.template = template
        tokenizer = model.preprocessor.tokenizer
        self.stops = {int(tokenizer.end_token_id), data.end_token_id(tokenizer, template)}
        texts = [text.decode() for text in format_prompts(list(PROMPTS), template).numpy()]
        start = data.start_tokens(tokenizer)
        starts = [(*start, *ids) for ids in data.encode(texts, tokenizer)]
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
        if not all(np.isfinite(prompt.logits).all() for prompt in self.prompts):
            raise ModelError(
                "The trained model computes logits that are not finite, so nothing was exported. "
                "Lower training.learning_rate, or set training.dtype=float32."
            )
        self.largest_logit = max(float(np.abs(prompt.logits).max()) for prompt in self.prompts)

    @property
    def fixed(self) -> tuple[Prompt, ...]:
        """Prompts with a text: those of `PROMPTS`."""
        return tuple(prompt for prompt in self.prompts if prompt.text is not None)

    def check_tokens(self, name: str, tokens: Sequence[Sequence[int]]) -> None:
        """Raise unless the formatted prompts have these tokens, beginning of sequence included.

        Raises:
            ModelError: They have others.
        """
        if [tuple(row) for row in tokens] != [prompt.tokens for prompt in self.fixed]:
            raise refusal(name, "come with a tokenizer that splits a prompt into other tokens")

    def compare_model(self, name: str, backbone: Backbone) -> Verification:
        """Compare a reloaded KerasHub backbone.

        Raises:
            ModelError: It is another model.
        """
        rows = [
            data.TokenizedRow((*p.tokens, *p.continuation), len(p.tokens)) for p in self.prompts
        ]
        logits = _logits(lm_with_response_positions(_WithBackbone(backbone)), rows)
        ends = np.cumsum([len(prompt.continuation) for prompt in self.prompts])
        return self.compare(name, np.split(logits, ends)[:-1])

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
            if not len(found):
                continue
            if not np.isfinite(found).all():
                raise refusal(name, "give logits that are not finite")
            wanted = prompt.logits[: len(found)]
            largest = max(largest, float(np.abs(found - wanted).max()) / self.largest_logit)
            for at, token in zip(wanted, found.argmax(axis=-1), strict=True):
                gap = float(at.max() - at[token]) / self.largest_logit
                ties += gap > 0
                if gap > tolerance:
                    raise refusal(name, f"continue {prompt.text!r} with other tokens")
            tokens += len(found)
        if not tokens:
            raise refusal(name, "give no logits, so that nothing could be compared")
        if not largest <= tolerance:
            raise refusal(
                name,
                f"give other logits: they differ by {largest:.2g} of the largest, and "
                f"{tolerance:g} is rounding",
            )
        return Verification(largest, tokens, ties)


def refusal(name: str, what: str) -> ModelError:
    """Make the error of an export that is not the trained model.

    Args:
        name: What was written.
        what: What the written model does, in the plural.
    """
    return ModelError(
        f"The weights that were written as {name!r} {what}. Nothing was exported. This is a defect "
        "of the export, not of your data; leave the format out of training.exports, or set "
        "training.dtype=float32. What was trained is kept."
    )


@dataclasses.dataclass(frozen=True)
class _WithBackbone:
    backbone: Backbone


def _continue(
    model: CausalLM, starts: Sequence[tuple[int, ...]], stops: set[int]
) -> list[tuple[tuple[int, ...], data.Array]]:
    """Return the likeliest next tokens of each start and their logits, by full forward passes."""
    lm = lm_with_response_positions(model)
    rows = [list(start) for start in starts]
    logits: list[list[data.Array]] = [[] for _ in rows]
    is_done = [False] * len(rows)
    for _ in range(_STEPS):
        next_tokens = [data.TokenizedRow((*row, 0), len(row)) for row in rows]
        for i, at in enumerate(_logits(lm, next_tokens)):
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


def _logits(lm: keras.Model, rows: Sequence[data.TokenizedRow]) -> data.Array:
    """Compute the logits of the rows' responses, float32 of shape `(responses, vocabulary)`."""
    inputs, labels = data.pad(rows, data.pad_multiple())
    found = keras.ops.convert_to_numpy(keras.ops.cast(lm(inputs), "float32"))
    return np.asarray(found)[labels != data.IGNORED_LABEL]


def _is_quantized(model: CausalLM) -> bool:
    return any(layer.quantization_mode for layer in model.backbone._flatten_layers())
