"""Records a training for its facts, for the progress display and for TensorBoard."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TypedDict

import keras
import tensorflow as tf

from core.progress import progress

Pairs = list[tuple[int, float]]  # step and value


class Record(TypedDict, total=False):
    """What a checkpoint keeps of a recorder, as JSON values."""

    losses: list[float]
    eval_losses: Pairs
    tokens: int
    tokens_per_second: Pairs


class Recorder(keras.callbacks.Callback):
    """Keeps the loss of every step, and reports progress.

    TensorBoard gets `loss/train`, `loss/eval`, `learning_rate` and `tokens_per_second` by step.

    Args:
        steps: Steps of the whole training.
        batches_per_step: Batches that Keras calls the callback for in each step.
        learning_rate: The learning rate of a step; the first one is step 0.
        log_dir: Folder or URI for TensorBoard's files; empty for none.
        record: Of an earlier recorder, to resume from.
        check: Raises where a loss, of the step that is given with it, must end the training.
    """

    def __init__(
        self,
        steps: int,
        batches_per_step: int,
        learning_rate: Callable[[int], tf.Tensor],
        log_dir: str,
        record: Record | None,
        *,
        check: Callable[[float, int], None] = lambda loss, step: None,
    ) -> None:
        super().__init__()
        record = record or {}
        self.losses = record.get("losses", [])
        self.eval_losses = record.get("eval_losses", [])
        self.tokens = record.get("tokens", 0)
        self._rates = record.get("tokens_per_second", [])
        self._steps = steps
        self._batches_per_step = batches_per_step
        self._learning_rate = learning_rate
        self._check = check
        self._writer = tf.summary.create_file_writer(log_dir) if log_dir else None
        self._drawn: list[tuple[int, int]] = []  # rows and tokens of the batches of this fit
        self._sum = 0.0
        self._of_step: list[float] = []
        self._ends: list[float] = []
        self._seconds = 0.0
        self._timed_tokens = 0
        self._rewrite()

    def to_json(self) -> Record:
        """Return what a checkpoint keeps."""
        return {
            "losses": self.losses,
            "eval_losses": self.eval_losses,
            "tokens": self.tokens,
            "tokens_per_second": self._rates,
        }

    def draw(self, rows: int, tokens: int) -> None:
        """Note a batch that is about to be trained on."""
        self._drawn.append((rows, tokens))

    @contextlib.contextmanager
    def fitting(self) -> Iterator[None]:
        """Record one call of Keras' `fit`, which restarts its mean of the losses."""
        self._drawn, self._sum, self._ends = [], 0.0, []
        yield
        self.tokens += sum(tokens for _, tokens in self._drawn)
        if len(self._ends) > 1:  # the first batch may compile
            self._seconds += self._ends[-1] - self._ends[0]
            self._timed_tokens += sum(tokens for _, tokens in self._drawn[1:])
        self._flush()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Record a batch; `logs` has the mean over the rows so far, not the batch's own loss."""
        rows = [rows for rows, _ in self._drawn[: batch + 1]]
        total = float((logs or {})["loss"]) * sum(rows)
        self._of_step.append((total - self._sum) / rows[-1])
        self._sum = total
        self._ends.append(time.monotonic())
        if len(self._of_step) == self._batches_per_step:
            self._end_step(sum(self._of_step) / self._batches_per_step)

    def add_eval_loss(self, loss: float) -> None:
        """Record the eval loss after the steps so far."""
        step = len(self.losses)
        self.eval_losses.append((step, loss))
        self._write("loss/eval", step, loss)
        self._flush()

    def tokens_per_second(self) -> float | None:
        """Return tokens without padding per second, without the first batch of each fit.

        None after a single batch.
        """
        return round(self._timed_tokens / self._seconds, 1) if self._seconds else None

    def _end_step(self, loss: float) -> None:
        self._of_step = []
        self._check(loss, len(self.losses) + 1)
        self.losses.append(loss)
        self._write_step(len(self.losses), loss)
        first = max(0, len(self._ends) - 1 - self._batches_per_step)
        seconds = self._ends[-1] - self._ends[first]
        if seconds:
            tokens = sum(tokens for _, tokens in self._drawn[first + 1 : len(self._ends)])
            self._rates.append((len(self.losses), tokens / seconds))
            self._write("tokens_per_second", *self._rates[-1])
        self._report()

    def _write_step(self, step: int, loss: float) -> None:
        self._write("loss/train", step, loss)
        if self._writer is not None:
            self._write("learning_rate", step, float(self._learning_rate(step - 1)))

    def _rewrite(self) -> None:
        """Write earlier steps, too: TFX gives a run that resumes another folder."""
        for step, loss in enumerate(self.losses, 1):
            self._write_step(step, loss)
        for name, pairs in (("loss/eval", self.eval_losses), ("tokens_per_second", self._rates)):
            for step, value in pairs:
                self._write(name, step, value)

    def _write(self, name: str, step: int, value: float) -> None:
        if self._writer is not None:
            with self._writer.as_default():
                tf.summary.scalar(name, value, step)

    def _flush(self) -> None:
        if self._writer is not None:
            self._writer.flush()

    def _report(self) -> None:
        done = len(self.losses)
        left = None  # the first batch is mostly compiling and says nothing of the pace
        if len(self._ends) > 1:
            pace = (self._ends[-1] - self._ends[0]) / (len(self._ends) - 1)
            left = round(pace * self._batches_per_step * (self._steps - done))
        state = {"done": done, "total": self._steps, "unit": "steps", "seconds_left": left}
        state["loss"] = round(self.losses[-1], 3)
        progress.info("training", extra={"progress": state})
