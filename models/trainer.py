"""The Trainer's run_fn: LoRA fine-tuning of a causal language model on one machine."""

import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import keras_hub
import numpy as np
import tensorflow as tf

from models import data, gemma
from models.errors import ModelError
from models.export import export
from models.hparams import TrainHParams
from models.training_model import ResponseLoss, response_model

_progress = logging.getLogger("understudy.progress")
_FINAL_LEARNING_RATE = 0.05  # share of the peak


def run_fn(fn_args: Any) -> None:
    """Fine-tunes a model on Transform's output and exports it.

    Writes to `fn_args.serving_model_dir`: `adapter.lora.h5` (the LoRA factors), `preset/` (a
    KerasHub preset with the factors merged in), `generation.json` (how the model is prompted) and
    `training.json` (what was trained, how fast, and the loss of every step).

    Args:
        fn_args: TFX's `FnArgs`; `custom_config["hparams"]` is the JSON of `TrainHParams`.

    Raises:
        ModelError: The base model cannot be loaded, or no row can be trained on.
    """
    hparams = TrainHParams.model_validate_json(fn_args.custom_config["hparams"])
    started = time.monotonic()
    keras.utils.set_random_seed(hparams.seed)
    dtype = gemma.resolve_dtype(hparams.dtype)
    preset = gemma.resolve_preset(hparams.preset, hparams.cache_dir)
    model = gemma.load_model(preset, dtype)
    tokenizer = model.preprocessor.tokenizer
    train, evaluation = (
        data.tokenize(data.read_texts(files), tokenizer, hparams.sequence_length)
        for files in (fn_args.train_files, fn_args.eval_files)
    )
    if not train.rows:
        raise ModelError(
            f"No row is left to train on: {train.too_long} were longer than "
            f"{hparams.sequence_length} tokens. Set training.sequence_length higher, or see why "
            "no examples were generated."
        )
    gemma.enable_lora(model, hparams.lora_rank)
    facts = fit(model, train.rows, evaluation.rows, hparams)
    facts |= {
        "preset": hparams.preset,
        "dtype": dtype,
        "hparams": hparams.model_dump(),
        "train_rows": len(train.rows),
        "eval_rows": len(evaluation.rows),
        "rows_too_long": train.too_long + evaluation.too_long,
        "seconds": round(time.monotonic() - started, 1),
        "versions": {
            "keras": keras.__version__,
            "keras_hub": keras_hub.__version__,
            keras.backend.backend(): tf.__version__
            if keras.backend.backend() == "tensorflow"
            else "",
        },
    }
    export(model, fn_args.serving_model_dir, hparams.sequence_length)
    with tf.io.gfile.GFile(os.path.join(fn_args.serving_model_dir, "training.json"), "w") as file:
        file.write(json.dumps(facts, indent=2))
    del model
    gemma.free_memory()


def fit(
    model: Any,
    train_rows: Sequence[data.TokenizedRow],
    eval_rows: Sequence[data.TokenizedRow],
    hparams: TrainHParams,
) -> dict[str, Any]:
    """Train the trainable weights of a causal language model in place.

    Args:
        model: A KerasHub causal language model, with LoRA enabled.
        train_rows: Rows to train on, at least one.
        eval_rows: Rows to measure the loss on before and after.
        hparams: The hyperparameters.

    Returns:
        `steps`, `losses` (nats per response token, one for each step), `eval_loss_before` and
        `eval_loss` (None without rows), `tokens` (without padding), `tokens_per_second` (without
        the first step, which compiles), `trainable_weights`.
    """
    steps = hparams.epochs * data.n_batches(len(train_rows), hparams.batch_size)
    steps = min(steps, hparams.max_steps or steps)
    trained = response_model(model)
    trained.compile(
        loss=ResponseLoss(),
        optimizer=keras.optimizers.AdamW(
            _schedule(hparams, steps),
            weight_decay=hparams.weight_decay,
            global_clipnorm=hparams.clip_norm,
        ),
        # XLA on CPU doubles the time of the first step and gains nothing after it.
        jit_compile="auto" if keras.backend.backend() != "tensorflow" else False,
    )
    eval_loss_before = _eval_loss(trained, eval_rows, hparams)
    recorder = _Recorder(steps)
    trained.fit(
        _dataset(train_rows, hparams, steps, recorder),
        steps_per_epoch=steps,
        epochs=1,
        verbose=0,
        callbacks=[recorder],
    )
    return {
        "steps": steps,
        "losses": [round(loss, 4) for loss in recorder.losses],
        "eval_loss_before": eval_loss_before,
        "eval_loss": _eval_loss(trained, eval_rows, hparams),
        "tokens": sum(recorder.tokens),
        "tokens_per_second": recorder.tokens_per_second(),
        "trainable_weights": sum(int(np.prod(v.shape)) for v in trained.trainable_variables),
    }


def _schedule(hparams: TrainHParams, steps: int) -> Any:
    warmup = max(1, round(steps * hparams.warmup_fraction))
    return keras.optimizers.schedules.CosineDecay(
        # Not zero: the first step would learn nothing.
        initial_learning_rate=hparams.learning_rate / warmup,
        warmup_target=hparams.learning_rate,
        warmup_steps=warmup,
        decay_steps=max(1, steps - warmup),
        alpha=_FINAL_LEARNING_RATE,
    )


_INPUT_SPEC = {
    "token_ids": tf.TensorSpec((None, None), tf.int32),
    "padding_mask": tf.TensorSpec((None, None), tf.bool),
    "positions": tf.TensorSpec((None, None), tf.int32),
}
_LABEL_SPEC = tf.TensorSpec((None, None), tf.int32)


def _dataset(
    rows: Sequence[data.TokenizedRow], hparams: TrainHParams, steps: int, recorder: "_Recorder"
) -> tf.data.Dataset:
    def generate() -> Iterator[Any]:
        rng = np.random.default_rng(hparams.seed)
        left = steps
        while True:
            for inputs, labels in data.batches(rows, hparams.batch_size, rng):
                if left == 0:
                    return
                left -= 1
                recorder.tokens.append(int(inputs["padding_mask"].sum()))
                yield inputs, labels

    # The unknown dimensions make Keras trace one program for batches of all lengths.
    dataset = tf.data.Dataset.from_generator(generate, output_signature=(_INPUT_SPEC, _LABEL_SPEC))
    return dataset.prefetch(tf.data.AUTOTUNE)


def _eval_loss(
    trained: keras.Model, rows: Sequence[data.TokenizedRow], hparams: TrainHParams
) -> float | None:
    total = n_labels = 0.0
    for index, (inputs, labels) in enumerate(data.batches(rows, hparams.batch_size, None)):
        if index == hparams.eval_batches:
            break
        weight = float((labels != data.IGNORED_LABEL).sum())
        total += weight * float(ResponseLoss()(labels, trained(inputs)))
        n_labels += weight
    return round(total / n_labels, 4) if n_labels else None


class _Recorder(keras.callbacks.Callback):
    """Keeps the loss of every step, and tells how far the training is."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.losses: list[float] = []
        self.tokens: list[int] = []
        self.ends: list[float] = []
        self._sum = 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        # Keras reports the mean over the epoch so far; the step's own loss is what is recorded.
        total = float((logs or {})["loss"]) * (batch + 1)
        self.losses.append(total - self._sum)
        self._sum = total
        self.ends.append(time.monotonic())
        done = batch + 1
        pace = (self.ends[-1] - self.ends[0]) / max(1, done - 1)
        _progress.info(
            "training",
            extra={
                "progress": {
                    "done": done,
                    "total": self.steps,
                    "unit": "steps",
                    "loss": round(self.losses[-1], 3),
                    "seconds_left": round(pace * (self.steps - done)),
                }
            },
        )

    def tokens_per_second(self) -> float | None:
        if len(self.ends) < 2:
            return None
        # Prefetching may have drawn batches that were not trained on.
        tokens = sum(self.tokens[1 : len(self.ends)])
        return round(tokens / (self.ends[-1] - self.ends[0]), 1)
