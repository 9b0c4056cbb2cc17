"""The learning rate from the first step to the last: a warm-up, then down or level."""

from typing import Any

import keras

from models.hparams import TrainHParams

_FINAL_LEARNING_RATE = 0.05  # share of the peak


def schedule_of_steps(hparams: TrainHParams, steps: int) -> Any:
    """The learning rate by the step, from 0.

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
    return _Linear(peak, warmup, after, final)


class OfBatch(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule of steps; Keras asks for the learning rate of a batch."""

    def __init__(self, of_step: Any, batches_per_step: int) -> None:
        super().__init__()
        self._of_step, self._batches_per_step = of_step, batches_per_step

    def __call__(self, step: Any) -> Any:
        """The learning rate of a batch, from 0."""
        return self._of_step(keras.ops.floor_divide(step, self._batches_per_step))

    def get_config(self) -> dict[str, Any]:
        """Keras' configuration."""
        return {"of_step": self._of_step, "batches_per_step": self._batches_per_step}


class _Linear(keras.optimizers.schedules.LearningRateSchedule):
    """Up to a peak and then down, both on a line."""

    def __init__(self, peak: float, warmup: int, after: int, final: float) -> None:
        super().__init__()
        self._peak, self._warmup, self._after, self._final = peak, warmup, after, final

    def __call__(self, step: Any) -> Any:
        step = keras.ops.cast(step, "float32")
        rising = self._peak * (step + 1) / self._warmup
        share = keras.ops.clip((step - self._warmup) / self._after, 0.0, 1.0)
        falling = self._peak + (self._final - self._peak) * share
        return keras.ops.minimum(rising, falling)

    def get_config(self) -> dict[str, float]:
        return {
            "peak": self._peak,
            "warmup": self._warmup,
            "after": self._after,
            "final": self._final,
        }
