"""The training record: what was trained, from what, how fast, and what it was written as."""

from collections.abc import Mapping

import pydantic

from core.reports.report import Part, Report


class ExportCheck(Part):
    """How an export compared with the trained model when it was loaded again.

    Attributes:
        verified: Whether it is that model.
        largest_logit_difference: As a share of the largest logit.
        greedy_tokens: Tokens that both continue fixed prompts with.
        greedy_ties: Of these, the ones where two tokens are equally likely but for rounding.
        custom_ops: Of a SavedModel, those that are not TensorFlow's own.
    """

    verified: pydantic.StrictBool = False
    largest_logit_difference: float = 0.0
    greedy_tokens: int = 0
    greedy_ties: int = 0
    custom_ops: tuple[str, ...] = ()


class ExportsRecord(pydantic.RootModel[Mapping[str, ExportCheck]], frozen=True):
    """By the name of an export, how it compared: the content of `exports.json`."""


class UsedHParams(Part, extra="allow"):
    """The hyperparameters of a training; those that pages and cards name, and the others."""

    epochs: int
    method: str = "lora"
    lora_rank: int | None = None
    lora_targets: str = "query-value"
    sequence_length: int = 512
    gguf_type: str = "bf16"


class TrainingRecord(Report):
    """What the Trainer did: the content of `training.json`, which is stored with the model.

    Attributes:
        preset: The base model.
        dtype: Precision of the base weights.
        steps: Updates of the weights.
        losses: One for each step, in nats per response token.
        eval_losses: Pairs of step and loss.
        eval_loss_before: Before the first step; None without eval rows.
        eval_loss: Of the weights that were kept; None without eval rows.
        best_step: The step that the kept weights are from.
        tokens: Tokens trained on, without padding.
        tokens_per_second: Without the first batch, which compiles; None after a single batch.
        trainable_weights: How many numbers were trained.
        parameters: Weights of the model, without LoRA's; None in records of earlier versions.
        stopped_early: Whether the eval loss ended the training.
        resumed_at: The step of the checkpoint that it was resumed from; None where it was not.
        warm_start: URI of the model that it started from; None for the base model.
        hparams: The hyperparameters.
        train_rows: Rows trained on.
        eval_rows: Rows that the eval loss is measured on.
        rows_too_long: Rows left out of both.
        versions: Of the libraries, by name.
        exports: By the name of an export, how it compared with the trained model.
        seconds: The whole training took, with its exports.
    """

    preset: str
    dtype: str
    steps: int
    losses: tuple[float, ...]
    eval_losses: tuple[tuple[int, float], ...]
    eval_loss_before: float | None
    eval_loss: float | None
    best_step: int
    tokens: int
    tokens_per_second: float | None
    trainable_weights: int
    parameters: int | None = None
    stopped_early: bool = False
    resumed_at: int | None = None
    warm_start: str | None = None
    hparams: UsedHParams
    train_rows: int
    eval_rows: int
    rows_too_long: int
    versions: Mapping[str, str] = {}
    exports: Mapping[str, ExportCheck] = {}
    seconds: float

    @property
    def final_loss(self) -> float | None:
        """The training loss of the last step."""
        return self.losses[-1] if self.losses else None

    @property
    def is_lora(self) -> bool:
        """Whether LoRA factors were trained, not all weights."""
        return self.hparams.method == "lora"


class PromptFormat(pydantic.BaseModel, frozen=True):
    """How a model is prompted: the part of `generation.json` that a card shows.

    Attributes:
        prefix: What stands before a prompt.
        suffix: What stands between a prompt and its response.
        stop: What ends a response.
        sequence_length: Tokens of both together at most.
    """

    prefix: str
    suffix: str
    stop: tuple[str, ...]
    sequence_length: int
