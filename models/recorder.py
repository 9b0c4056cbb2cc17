"""What happens during a training: kept for its facts, shown as progress and in TensorBoard."""

import contextlib
import logging
import time
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

_progress = logging.getLogger("understudy.progress")


class Recorder(keras.callbacks.Callback):
    """Keeps the loss of every step, and tells how far the training is.

    Args:
        steps: Steps of the whole training.
        batches_per_step: Batches that Keras calls the callback for in each step.
        log_dir: Folder or URI for TensorBoard's files; empty for none.
        record: What an earlier recorder's `to_json` returned, to go on from.
    """

    def __init__(
        self, steps: int, batches_per_step: int, log_dir: str, record: dict[str, Any] | None
    ) -> None:
        super().__init__()
        record = record or {}
        self.losses: list[float] = record.get("losses", [])
        self.eval_losses: list[tuple[int, float]] = [
            (int(step), float(loss)) for step, loss in record.get("eval_losses", [])
        ]
        self.tokens: int = record.get("tokens", 0)
        self._steps = steps
        self._batches_per_step = batches_per_step
        self._writer = tf.summary.create_file_writer(log_dir) if log_dir else None
        self._drawn: list[tuple[int, int]] = []  # rows and tokens of the batches of this fit
        self._sum = 0.0
        self._of_step: list[float] = []
        self._ends: list[float] = []
        self._seconds = 0.0
        self._timed_tokens = 0

    def to_json(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {
            "losses": self.losses,
            "eval_losses": self.eval_losses,
            "tokens": self.tokens,
        }

    def draw(self, rows: int, tokens: int) -> None:
        """Take note of a batch that is about to be trained on."""
        self._drawn.append((rows, tokens))

    @contextlib.contextmanager
    def fitting(self) -> Iterator[None]:
        """One call of Keras' `fit`, which begins its mean of the losses anew."""
        self._drawn, self._sum, self._ends = [], 0.0, []
        yield
        self.tokens += sum(tokens for _, tokens in self._drawn)
        if len(self._ends) > 1:  # the first batch may compile
            self._seconds += self._ends[-1] - self._ends[0]
            self._timed_tokens += sum(tokens for _, tokens in self._drawn[1:])

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' callback; `logs` has the mean over the rows so far, not the batch's own loss."""
        rows = [rows for rows, _ in self._drawn[: batch + 1]]
        total = float((logs or {})["loss"]) * sum(rows)
        self._of_step.append((total - self._sum) / rows[-1])
        self._sum = total
        self._ends.append(time.monotonic())
        if len(self._of_step) == self._batches_per_step:
            self.losses.append(sum(self._of_step) / self._batches_per_step)
            self._of_step = []
            self._write("loss/train", len(self.losses), self.losses[-1])
            self._report()

    def add_eval_loss(self, loss: float) -> None:
        """The eval loss after the steps so far."""
        step = len(self.losses)
        self.eval_losses.append((step, loss))
        self._write("loss/eval", step, loss)

    def tokens_per_second(self) -> float | None:
        """Tokens without padding, without the first batch of each fit; None after one batch."""
        return round(self._timed_tokens / self._seconds, 1) if self._seconds else None

    def _write(self, name: str, step: int, value: float) -> None:
        if self._writer is not None:
            with self._writer.as_default():
                tf.summary.scalar(name, value, step)
                self._writer.flush()

    def _report(self) -> None:
        done = len(self.losses)
        pace = (self._ends[-1] - self._ends[0]) / max(1, len(self._ends) - 1)
        _progress.info(
            "training",
            extra={
                "progress": {
                    "done": done,
                    "total": self._steps,
                    "unit": "steps",
                    "loss": round(self.losses[-1], 3),
                    "seconds_left": round(pace * self._batches_per_step * (self._steps - done)),
                }
            },
        )
