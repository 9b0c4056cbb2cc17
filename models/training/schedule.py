"""The learning rate from the first step to the last: a warm-up, then decaying or constant."""

import keras
import tensorflow as tf
from keras.optimizers.schedules import LearningRateSchedule as Schedule

from models.hparams import TrainHParams

_FINAL_LEARNING_RATE = 0.05  # share of the peak


def make_schedule(hparams: TrainHParams, steps: int) -> Schedule:
    """Make the learning rate by step, from 0.

    Args:
        hparams: `learning_rate`, `schedule` and `warmup_fraction` are used.
        steps: Steps of the whole training.
    """
    peak = hparams.learning_rate
    warmup = max(1, round(steps * hparams.warmup_fraction))
    after = max(1, steps - warmup)
    if hparams.schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(
            # Not zero: the first step would learn nothing.
            initial_learning_rate=peak / warmup,
            warmup_target=peak,
            warmup_steps=warmup,
            decay_steps=after,
            alpha=_FINAL_LEARNING_RATE,
        )
    final = peak * _FINAL_LEARNING_RATE if hparams.schedule == "linear" else peak
    return _Linear(peak=peak, warmup=warmup, after=after, final=final)


class PerBatchSchedule(Schedule):
    """Converts a schedule by step to the one by batch that Keras asks for."""

    def __init__(self, by_step: Schedule, batches_per_step: int) -> None:
        super().__init__()
        self._by_step, self._batches_per_step = by_step, batches_per_step

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Return the learning rate of a batch, from 0."""
        return self._by_step(keras.ops.floor_divide(step, self._batches_per_step))

    def get_config(self) -> dict[str, Schedule | int]:
        """Return Keras' configuration."""
        return {"by_step": self._by_step, "batches_per_step": self._batches_per_step}


class _Linear(Schedule):
    """Rises to a peak and then decays, both linearly."""

    def __init__(self, *, peak: float, warmup: int, after: int, final: float) -> None:
        super().__init__()
        self._config = {"peak": peak, "warmup": warmup, "after": after, "final": final}

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        peak, warmup, after, final = self._config.values()
        step = keras.ops.cast(step, "float32")
        rising = peak * (step + 1) / warmup
        share = keras.ops.clip((step - warmup) / after, 0.0, 1.0)
        return keras.ops.minimum(rising, peak + (final - peak) * share)

    def get_config(self) -> dict[str, float]:
        return self._config
