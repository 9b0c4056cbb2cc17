"""The training loop: steps, eval losses, the best weights, checkpoints."""

import functools
import logging
from collections.abc import Sequence
from typing import TypedDict

import keras
import numpy as np
from keras_hub.models import CausalLM

from models import data
from models.backend import compiles_with_xla, has_accelerator
from models.distribution import batch_parts
from models.hparams import TrainHParams
from models.memory import TrimMemoryAfterTracing
from models.tensorflow_patches.fused_adam import adamw
from models.tensorflow_patches.lora_forward import lora_forward
from models.tensorflow_patches.rematerialization import rematerialize
from models.tensorflow_patches.traced_blocks import traced_blocks
from models.training.batching import Batch, dataset, divisible, n_steps, training_batches
from models.training.checkpoints import Checkpoint, TrainingCheckpoints
from models.training.divergence import check_loss, check_weights
from models.training.loss import ResponseLoss, backbone_with_response_positions
from models.training.recorder import Recorder
from models.training.schedule import PerBatchSchedule, make_schedule

_logger = logging.getLogger(__name__)
_NOT_BETTER = (
    "The training made nothing better: after %d steps the eval loss was never below the %.4g of "
    "the weights that it started with, which are kept. Lower training.learning_rate, or set "
    "training.keep_best=false to keep the last weights."
)


class Facts(TypedDict, total=False):
    """What is known of a training after it."""

    steps: int
    losses: list[float]  # nats per response token, one for each step
    eval_losses: list[tuple[int, float]]  # step and loss
    eval_loss_before: float | None  # None without rows, as below
    eval_loss: float | None  # of the kept weights
    best_step: int  # that the kept weights are from
    tokens: int  # without padding
    tokens_per_second: float | None  # without the first batch, which compiles
    trainable_weights: int
    stopped_early: bool
    resumed_at: int | None  # step of the checkpoint


def fit(
    model: CausalLM,
    train_rows: Sequence[data.TokenizedRow],
    eval_rows: Sequence[data.TokenizedRow],
    hparams: TrainHParams,
    *,
    checkpoints: TrainingCheckpoints | None = None,
    log_dir: str = "",
) -> Facts:
    """Train the trainable weights of a causal language model in place.

    Args:
        model: One with LoRA enabled or all weights trainable.
        train_rows: Rows to train on, at least one.
        eval_rows: Rows to measure the loss on.
        hparams: The hyperparameters.
        checkpoints: Where the training is saved, and resumed from; None for nowhere.
        log_dir: Folder or URI for TensorBoard's files; empty for none.

    Raises:
        ModelError: A loss or a weight is no longer finite.
    """
    optimizations = hparams.optimizations
    with (
        rematerialize(model, optimizations),
        lora_forward(
            model, hparams.lora_dropout, hparams.seed, enabled=optimizations.lora_forward
        ) as state,
    ):
        training = _Training(model, train_rows, eval_rows, hparams, state)
        resumed_at = training.start(checkpoints.load() if checkpoints else None, log_dir)
        with traced_blocks(model, enabled=optimizations.traced_blocks):
            stopped_early = training.run(checkpoints)
        return {**training.finish(), "stopped_early": stopped_early, "resumed_at": resumed_at}


class _Training:
    def __init__(
        self,
        model: CausalLM,
        train_rows: Sequence[data.TokenizedRow],
        eval_rows: Sequence[data.TokenizedRow],
        hparams: TrainHParams,
        state: Sequence[keras.Variable],
    ) -> None:
        self._rows = train_rows
        self._eval_rows = eval_rows
        self._hparams = hparams
        self._steps, per_pass = n_steps(len(train_rows), hparams)
        self._eval_steps = hparams.eval_steps or per_pass
        self._model = backbone_with_response_positions(model)
        self._eval_loss = ResponseLoss(model, chunked=False)
        self._schedule = make_schedule(hparams, self._steps)
        accumulated = hparams.gradient_accumulation
        self._model.compile(
            loss=ResponseLoss(model, chunked=hparams.optimizations.chunked_cross_entropy),
            optimizer=adamw(
                PerBatchSchedule(self._schedule, accumulated),
                fused=hparams.optimizations.fused_adam,
                weight_decay=hparams.weight_decay,
                global_clipnorm=hparams.clip_norm,
                gradient_accumulation_steps=accumulated if accumulated > 1 else None,
            ),
            jit_compile=_jit_compile(hparams),
        )
        self._model.optimizer.build(self._model.trainable_variables)
        _build_loss(self._model)
        self._groups = {
            "weights": self._model.trainable_variables,
            "optimizer": self._model.optimizer.variables,
            "dropout": list(state),
        }
        self._best: list[data.Array] = []

    def start(self, checkpoint: Checkpoint | None, log_dir: str) -> int | None:
        """Start, or resume from a checkpoint; return its step."""
        record = checkpoint.record if checkpoint else None
        accumulated = self._hparams.gradient_accumulation
        check = functools.partial(check_loss, hparams=self._hparams)
        self._recorder = Recorder(
            self._steps, accumulated, self._schedule, log_dir, record, check=check
        )
        if checkpoint is None:
            self._evaluate()
            return None
        for group, variables in self._groups.items():
            for variable, value in zip(variables, checkpoint.arrays.get(group, ()), strict=True):
                variable.assign(value)
        self._best = checkpoint.arrays.get("best", [])
        _logger.info("training resumes from step %d", self._done)
        return self._done

    def run(self, checkpoints: TrainingCheckpoints | None) -> bool:
        """Train to the end; return whether it came early."""
        batches = training_batches(self._rows, self._hparams, self._done)
        callbacks = [self._recorder, TrimMemoryAfterTracing()]
        accumulated = self._hparams.gradient_accumulation
        while self._done < self._steps and not self._is_out_of_patience():
            stop = self._next_stop(checkpoints is not None)
            count = (stop - self._done) * accumulated
            with self._recorder.fitting():
                self._model.fit(
                    dataset(batches, count, self._recorder),
                    steps_per_epoch=count,
                    epochs=1,
                    verbose=0,
                    callbacks=callbacks,
                )
            if stop % self._eval_steps == 0 or stop == self._steps:
                self._evaluate()
            check_weights(_values(self._groups["weights"]), self._done, self._hparams)
            if checkpoints is not None:
                arrays = {group: _values(variables) for group, variables in self._groups.items()}
                record = self._recorder.to_json()
                checkpoints.save(Checkpoint(record, {**arrays, "best": self._best}))
        return self._done < self._steps

    def finish(self) -> Facts:
        """Restore the best weights, and return the facts."""
        recorder = self._recorder
        step, eval_loss = self._done, None
        if recorder.eval_losses:
            step, eval_loss = recorder.eval_losses[-1]
            if self._hparams.keep_best:
                step, eval_loss = min(recorder.eval_losses, key=lambda pair: pair[1])
                if step == 0 < self._done:
                    _logger.warning(_NOT_BETTER, self._done, eval_loss)
                for variable, value in zip(self._groups["weights"], self._best, strict=True):
                    variable.assign(value)
        first = dict(recorder.eval_losses).get(0)
        return {
            "steps": self._done,
            "losses": [round(loss, 4) for loss in recorder.losses],
            "eval_losses": [(at, round(loss, 4)) for at, loss in recorder.eval_losses],
            "eval_loss_before": None if first is None else round(first, 4),
            "eval_loss": None if eval_loss is None else round(eval_loss, 4),
            "best_step": step,
            "tokens": recorder.tokens,
            "tokens_per_second": recorder.tokens_per_second(),
            "trainable_weights": sum(int(np.prod(v.shape)) for v in self._groups["weights"]),
        }

    @property
    def _done(self) -> int:
        return len(self._recorder.losses)

    def _next_stop(self, with_checkpoints: bool) -> int:
        every = [self._eval_steps]
        if with_checkpoints and self._hparams.checkpoint_steps:
            every.append(self._hparams.checkpoint_steps)
        return min(self._steps, *((self._done // n + 1) * n for n in every))

    def _is_out_of_patience(self) -> bool:
        losses = [loss for _, loss in self._recorder.eval_losses]
        if self._hparams.patience is None or not losses:
            return False
        return len(losses) - 1 - losses.index(min(losses)) >= self._hparams.patience

    def _evaluate(self) -> None:
        loss = _eval_loss(self._model, self._eval_loss, self._eval_rows, self._hparams)
        if loss is None:
            return
        check_loss(loss, self._done, self._hparams, "eval loss")
        earlier = [value for _, value in self._recorder.eval_losses]
        self._recorder.add_eval_loss(loss)
        if self._hparams.keep_best and (not earlier or loss < min(earlier)):
            self._best = _values(self._groups["weights"])


def _jit_compile(hparams: TrainHParams) -> bool | str:
    """Return Keras' argument; on JAX it finds out itself whether a model can be compiled."""
    if keras.backend.backend() != "tensorflow":
        return "auto"
    return compiles_with_xla(hparams.jit_compile)


def _build_loss(model: keras.Model) -> None:
    """Build the loss, for which Keras' JAX trainer would otherwise use up the first batch."""
    labels = keras.ops.zeros(1)
    states = keras.ops.zeros((1, model.output.shape[-1]))
    model.compute_loss(y=labels, y_pred=states, sample_weight=labels)


def _values(variables: Sequence[keras.Variable]) -> list[data.Array]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _eval_loss(
    model: keras.Model,
    loss: ResponseLoss,
    rows: Sequence[data.TokenizedRow],
    hparams: TrainHParams,
) -> float | None:
    total = n_labels = 0.0
    multiple = data.pad_multiple(jit_compile=compiles_with_xla(hparams.jit_compile))
    passed = data.batches(rows, hparams.batch_size, None, multiple)
    for index, (inputs, labels) in enumerate(passed):
        if index == hparams.eval_batches:
            break
        weights = (labels != data.IGNORED_LABEL).astype("float32")
        total += _batch_loss(model, loss, divisible((inputs, labels, weights), batch_parts()))
        n_labels += float(weights.sum())
    return total / n_labels if n_labels else None


def _batch_loss(model: keras.Model, loss: ResponseLoss, batch: Batch) -> float:
    inputs, labels, weights = batch
    if keras.backend.backend() == "tensorflow" and not has_accelerator():
        # Tracing takes longer than these few batches on CPUs.
        return float(loss(labels, model(inputs), weights))
    return float(model.test_on_batch(inputs, labels, sample_weight=weights))
