"""The training itself: steps, eval losses, the best weights, checkpoints."""

import logging
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from models import data
from models.batching import Batch, dataset, divisible, n_steps, training_batches
from models.checkpoints import Checkpoint, Checkpoints
from models.distribution import batch_parts
from models.hparams import TrainHParams
from models.lean_gradients import lean_gradients
from models.memory import GivesBackAfterTracing
from models.optimizer import adamw
from models.projections import fast_projections
from models.recorder import Recorder
from models.schedule import OfBatch, schedule_of_steps
from models.shared_blocks import shared_blocks
from models.training_model import ResponseLoss, response_states

_logger = logging.getLogger(__name__)


def fit(
    model: Any,
    train_rows: Sequence[data.TokenizedRow],
    eval_rows: Sequence[data.TokenizedRow],
    hparams: TrainHParams,
    *,
    checkpoints: Checkpoints | None = None,
    log_dir: str = "",
) -> dict[str, Any]:
    """Train the trainable weights of a causal language model in place.

    Args:
        model: A KerasHub causal language model, with LoRA enabled or all weights trainable.
        train_rows: Rows to train on, at least one.
        eval_rows: Rows to measure the loss on.
        hparams: The hyperparameters.
        checkpoints: Where the training is kept while it goes on, and taken up from; None for
            nowhere.
        log_dir: Folder or URI for TensorBoard's files; empty for none.

    Returns:
        `steps`, `losses` (nats per response token, one for each step), `eval_losses` (pairs of
        step and loss), `eval_loss_before` and `eval_loss` (the kept weights'; None without rows),
        `best_step` (the step that the kept weights are from), `stopped_early`, `resumed_at` (the
        step of the checkpoint, or None), `tokens` (without padding), `tokens_per_second` (without
        the first batch, which compiles), `trainable_weights`.
    """
    projections = fast_projections(model, hparams.lora_dropout, hparams.seed)
    with lean_gradients(model), projections as state:
        training = _Training(model, train_rows, eval_rows, hparams, state)
        resumed_at = training.start(checkpoints.load() if checkpoints else None, log_dir)
        with shared_blocks(model):
            stopped_early = training.run(checkpoints)
        return {**training.finish(), "stopped_early": stopped_early, "resumed_at": resumed_at}


class _Training:
    def __init__(
        self,
        model: Any,
        train_rows: Sequence[data.TokenizedRow],
        eval_rows: Sequence[data.TokenizedRow],
        hparams: TrainHParams,
        state: Sequence[Any],
    ) -> None:
        self._rows = train_rows
        self._eval_rows = eval_rows
        self._hparams = hparams
        self._steps, per_pass = n_steps(len(train_rows), hparams)
        self._eval_steps = hparams.eval_steps or per_pass
        self._model = response_states(model)
        self._loss = ResponseLoss(model, trains=False)
        self._schedule = schedule_of_steps(hparams, self._steps)
        accumulated = hparams.gradient_accumulation
        self._model.compile(
            loss=ResponseLoss(model),
            optimizer=adamw(
                OfBatch(self._schedule, accumulated),
                weight_decay=hparams.weight_decay,
                global_clipnorm=hparams.clip_norm,
                gradient_accumulation_steps=accumulated if accumulated > 1 else None,
            ),
            # XLA on CPU doubles the time of the first step and gains nothing after it.
            jit_compile="auto" if keras.backend.backend() != "tensorflow" else False,
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
        """Begin, or go on from a checkpoint; returns its step."""
        record = checkpoint.record if checkpoint else None
        accumulated = self._hparams.gradient_accumulation
        self._recorder = Recorder(self._steps, accumulated, self._schedule, log_dir, record)
        if checkpoint is None:
            self._evaluate()
            return None
        for group, variables in self._groups.items():
            for variable, value in zip(variables, checkpoint.arrays.get(group, ()), strict=True):
                variable.assign(value)
        self._best = checkpoint.arrays.get("best", [])
        _logger.info("training goes on from step %d", self._done)
        return self._done

    def run(self, checkpoints: Checkpoints | None) -> bool:
        """Train to the end; returns whether it came early."""
        batches = training_batches(self._rows, self._hparams, self._done)
        callbacks = [self._recorder, GivesBackAfterTracing()]
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
            if checkpoints is not None:
                checkpoints.save(self._checkpoint())
        return self._done < self._steps

    def finish(self) -> dict[str, Any]:
        """Put the best weights in place, and tell what happened."""
        recorder = self._recorder
        step, eval_loss = self._done, None
        if recorder.eval_losses:
            step, eval_loss = recorder.eval_losses[-1]
            if self._hparams.keep_best:
                step, eval_loss = min(recorder.eval_losses, key=lambda pair: pair[1])
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
        loss = _eval_loss(self._model, self._loss, self._eval_rows, self._hparams)
        if loss is None:
            return
        known = [known for _, known in self._recorder.eval_losses]
        self._recorder.add_eval_loss(loss)
        if self._hparams.keep_best and (not known or loss < min(known)):
            self._best = _values(self._groups["weights"])

    def _checkpoint(self) -> Checkpoint:
        arrays = {group: _values(variables) for group, variables in self._groups.items()}
        return Checkpoint(self._recorder.to_json(), {**arrays, "best": self._best})


def _build_loss(model: keras.Model) -> None:
    """Keras' JAX trainer would take the first batch for it, and begin with the second one."""
    labels = keras.ops.zeros(1)
    states = keras.ops.zeros((1, model.output.shape[-1]))
    model.compute_loss(y=labels, y_pred=states, sample_weight=labels)


def _values(variables: Sequence[Any]) -> list[data.Array]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _eval_loss(
    model: keras.Model,
    loss: ResponseLoss,
    rows: Sequence[data.TokenizedRow],
    hparams: TrainHParams,
) -> float | None:
    total = n_labels = 0.0
    passed = data.batches(rows, hparams.batch_size, None, data.pad_multiple())
    for index, (inputs, labels) in enumerate(passed):
        if index == hparams.eval_batches:
            break
        weights = (labels != data.IGNORED_LABEL).astype("float32")
        total += _batch_loss(model, loss, divisible((inputs, labels, weights), batch_parts()))
        n_labels += float(weights.sum())
    return total / n_labels if n_labels else None


def _batch_loss(model: keras.Model, loss: ResponseLoss, batch: Batch) -> float:
    inputs, labels, weights = batch
    if keras.backend.backend() == "tensorflow":
        # Tracing takes longer than these few batches.
        return float(loss(labels, model(inputs), weights))
    return float(model.test_on_batch(inputs, labels, sample_weight=weights))
