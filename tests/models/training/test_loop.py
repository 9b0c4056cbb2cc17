"""What a training keeps, when it stops, and how it goes on."""

import json
import signal
import subprocess
import sys
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

from core.errors import ModelError
from models import data
from models.hparams import TrainHParams
from models.loading.load import load_model
from models.tensorflow_patches.chunked_cross_entropy import chunked_cross_entropy
from models.tensorflow_patches.fused_adam import adamw
from models.training import loop, loss
from models.training.batching import n_steps, training_batches
from models.training.checkpoints import Checkpoint, TrainingCheckpoints
from models.training.loop import fit
from models.training.lora import enable_lora
from models.training.schedule import make_schedule
from tests.models.tuning import PAIRS, PRESET, formatted, tune


def values(model):
    return [np.asarray(v) for v in model.backbone.trainable_variables]


def assert_same(first, second, **tolerance):
    for one, other in zip(values(first), values(second), strict=True):
        np.testing.assert_allclose(one, other, **tolerance)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"batch_size": 3, "epochs": 2}, (8, 4)),
        ({"batch_size": 3, "epochs": 2, "gradient_accumulation": 3}, (3, 2)),
        ({"batch_size": 3, "epochs": 2, "max_steps": 5}, (5, 4)),
        ({"batch_size": 16, "epochs": 1, "gradient_accumulation": 8}, (1, 1)),
    ],
)
def test_a_step_is_an_update_of_the_weights(changes, expected):
    assert n_steps(10, TrainHParams(preset=PRESET, **changes)) == expected


def test_accumulated_batches_train_as_one_large_batch_does(tiny_preset):
    """Also where the batches have different numbers of response tokens."""
    at_once = tune(tiny_preset, batch_size=4, epochs=6)
    in_parts = tune(tiny_preset, batch_size=1, epochs=6, gradient_accumulation=4)
    assert in_parts.facts["steps"] == at_once.facts["steps"] == 6
    assert in_parts.facts["tokens"] == at_once.facts["tokens"]
    np.testing.assert_allclose(in_parts.facts["losses"], at_once.facts["losses"], rtol=2e-3)
    assert_same(in_parts.model, at_once.model, atol=2e-3)


def test_the_recorded_losses_are_those_of_the_steps(tiny_preset, tiny):
    """Batches of three rows and of one, which Keras' own mean weighs by rows."""
    frozen = tune(tiny_preset, epochs=1, learning_rate=1e-12, keep_best=False)
    hparams = TrainHParams(preset=PRESET, batch_size=3, eval_batches=1)
    model, of_batch = loop.backbone_with_response_positions(tiny), loop.ResponseLoss(tiny)
    batches = training_batches(frozen.rows, hparams, 0)
    for found, (inputs, labels, weights) in zip(frozen.facts["losses"], batches, strict=False):
        expected = float(of_batch(labels, model(inputs), weights))
        assert found == pytest.approx(expected, abs=1e-3)


def test_batches_of_all_shapes_are_traced_once(tiny_preset):
    """Of three rows and of one; Keras' call that makes the loss's variables is no trace."""
    with mock.patch.object(loss, "chunked_cross_entropy", wraps=chunked_cross_entropy) as losses:
        facts = tune(tiny_preset, epochs=3, eval_steps=2).facts
    assert facts["steps"] == 6
    assert losses.call_count == 1 + 1


@pytest.fixture
def optimizers(monkeypatch):
    """The optimizers of the trainings to come."""
    made = []

    def kept(*arguments, **options):
        made.append(adamw(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(loop, "adamw", kept)
    return made


def norm_of_the_gradients(optimizer):
    """Of the first step: Adam's first moment is 0.1 of them then."""
    squares = [np.sum(np.square(moment)) for moment in optimizer._momentums]
    return 10 * float(np.sqrt(sum(squares)))


@pytest.mark.parametrize("parts", [1, 2])
def test_the_gradients_of_a_whole_step_are_scaled_down_to_the_norm(tiny_preset, optimizers, parts):
    changes = {"batch_size": 4 // parts, "gradient_accumulation": parts, "max_steps": 1}
    tune(tiny_preset, clip_norm=1e6, **changes)
    as_they_are = norm_of_the_gradients(optimizers[-1])
    for share in (0.25, 4.0):
        tune(tiny_preset, clip_norm=share * as_they_are, **changes)
        expected = min(share, 1.0) * as_they_are
        assert norm_of_the_gradients(optimizers[-1]) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [0.5, 1, 1, 1, 1, 1]),
        ("linear", [0.5, 1, 1, 0.7625, 0.525, 0.2875]),
        ("cosine", [0.5, 0.75, 1, 0.8609, 0.525, 0.1891]),
    ],
)
def test_the_learning_rate_rises_and_then_follows_its_schedule(schedule, expected):
    hparams = TrainHParams(preset=PRESET, learning_rate=1, schedule=schedule, warmup_fraction=1 / 3)
    rate = make_schedule(hparams, 6)
    assert [float(rate(step)) for step in range(6)] == pytest.approx(expected, abs=1e-3)


@pytest.fixture
def eval_losses(monkeypatch):
    """Makes the measurements of the eval loss give these numbers."""

    def give(*losses):
        left = list(losses)
        monkeypatch.setattr(loop, "_eval_loss", lambda *arguments: left.pop(0))

    return give


def test_the_weights_with_the_lowest_eval_loss_are_kept(tiny_preset, eval_losses):
    eval_losses(9.0, 3.0, 2.0, 2.5, 2.25)
    best = tune(tiny_preset, max_steps=4, eval_steps=1)
    assert best.facts["eval_losses"] == [(0, 9.0), (1, 3.0), (2, 2.0), (3, 2.5), (4, 2.25)]
    assert (best.facts["best_step"], best.facts["eval_loss"]) == (2, 2.0)
    eval_losses(9.0, 3.0, 2.0, 2.5, 2.25)
    last = tune(tiny_preset, max_steps=4, eval_steps=1, keep_best=False)
    assert (last.facts["best_step"], last.facts["eval_loss"]) == (4, 2.25)
    with pytest.raises(AssertionError):
        assert_same(best.model, last.model, atol=1e-6)


def test_a_training_that_made_nothing_better_says_so(tiny_preset, eval_losses, caplog):
    eval_losses(1.0, 3.0, 2.0)
    facts = tune(tiny_preset, max_steps=2, eval_steps=1).facts
    assert (facts["best_step"], facts["eval_loss"]) == (0, 1.0)
    assert "after 2 steps the eval loss was never below the 1 of the weights" in caplog.text


class _Exploding(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that is infinite in its third step."""

    def __init__(self, schedule):
        self._schedule = schedule

    def __call__(self, step):
        return keras.ops.where(keras.ops.equal(step, 2), np.inf, self._schedule(step))

    def get_config(self):
        return {}


@pytest.fixture
def exploding(monkeypatch):
    """Makes the third step of trainings ruin the weights."""
    monkeypatch.setattr(loop, "make_schedule", lambda *args: _Exploding(make_schedule(*args)))


def test_a_loss_that_is_not_finite_ends_the_training(tiny_preset, exploding):
    says = r"training loss of step 4 is nan\. Lower training.learning_rate \(now 0.03\)"
    with pytest.raises(ModelError, match=says):
        tune(tiny_preset, max_steps=8)


def test_weights_that_are_not_finite_are_never_a_checkpoint(tiny_preset, exploding, tmp_path):
    checkpoints = TrainingCheckpoints(str(tmp_path), ["test"])
    with pytest.raises(ModelError, match=r"trained weights of step 3 are not finite\."):
        tune(tiny_preset, max_steps=8, checkpoint_steps=1, checkpoints=checkpoints)
    kept = checkpoints.load()
    assert len(kept.record["losses"]) == 2
    assert all(np.isfinite(array).all() for array in kept.arrays["weights"])


def test_weights_that_the_last_step_ruins_are_found(tiny_preset, exploding, eval_losses):
    eval_losses(9.0, 3.0)  # of rows that do not notice
    with pytest.raises(ModelError, match=r"of step 3 are not finite"):
        tune(tiny_preset, max_steps=3)


def test_a_base_model_that_is_not_finite_is_not_trained(tiny_preset, eval_losses):
    eval_losses(float("nan"))
    with pytest.raises(ModelError, match="cannot start: the eval loss before the first"):
        tune(tiny_preset, max_steps=2)


def test_the_training_stops_when_the_eval_loss_no_longer_falls(tiny_preset, eval_losses):
    eval_losses(9.0, 3.0, 3.5, 3.25, 1.0)
    early = tune(tiny_preset, max_steps=8, eval_steps=2, patience=2)
    assert early.facts["stopped_early"]
    assert (early.facts["steps"], early.facts["best_step"]) == (6, 2)


def test_without_patience_it_goes_to_the_end(tiny_preset, eval_losses):
    eval_losses(9.0, 3.0, 3.5, 3.25, 4.0)
    assert tune(tiny_preset, max_steps=8, eval_steps=2).facts["steps"] == 8


def logged(folder):
    """What TensorBoard shows: by tag, pairs of step and value."""
    found = {}
    for path in sorted(folder.rglob("*tfevents*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                number = tf.make_ndarray(value.tensor).item()
                found.setdefault(value.tag, []).append((event.step, number))
    return found


def rounded(pairs):
    return [(step, round(value, 4)) for step, value in pairs]


def test_tensorboard_gets_losses_learning_rate_and_speed(tiny_preset, tmp_path):
    changes = {"max_steps": 4, "eval_steps": 2, "batch_size": 1, "gradient_accumulation": 2}
    facts = tune(tiny_preset, **changes, log_dir=str(tmp_path / "log")).facts
    found = logged(tmp_path / "log")
    assert found.keys() == {"loss/train", "loss/eval", "learning_rate", "tokens_per_second"}
    assert rounded(found["loss/train"]) == list(enumerate(facts["losses"], 1))
    assert rounded(found["loss/eval"]) == facts["eval_losses"]
    schedule = make_schedule(TrainHParams(preset=PRESET, learning_rate=0.03, **changes), 4)
    expected = [pytest.approx(float(schedule(step))) for step in range(4)]
    assert [value for _, value in found["learning_rate"]] == expected
    assert [step for step, _ in found["tokens_per_second"]] == [1, 2, 3, 4]
    assert all(rate > 0 for _, rate in found["tokens_per_second"])


def test_the_curves_of_a_training_that_goes_on_are_whole(tiny_preset, tmp_path):
    changes = {"max_steps": 4, "eval_steps": 2, "batch_size": 1}
    checkpoints = TrainingCheckpoints(str(tmp_path / "checkpoints"), ["test"])
    first = tune(tiny_preset, **changes, checkpoints=checkpoints, log_dir=str(tmp_path / "first"))
    again = tune(tiny_preset, **changes, checkpoints=checkpoints, log_dir=str(tmp_path / "again"))
    assert (first.facts["resumed_at"], again.facts["resumed_at"]) == (None, 4)
    assert logged(tmp_path / "again") == logged(tmp_path / "first")


# A training that kills itself, without a chance to clean up, after its third checkpoint.
_KILLED = """
import json, os, signal, sys

sys.path.insert(0, "tests/models")
from models.training.checkpoints import TrainingCheckpoints
from tuning import tune

class Deadly(TrainingCheckpoints):
    count = 0
    def save(self, checkpoint):
        super().save(checkpoint)
        self.count += 1
        if self.count == 3:
            os.kill(os.getpid(), signal.SIGKILL)

tune(sys.argv[1], checkpoints=Deadly(sys.argv[2], ["test"]), **json.loads(sys.argv[3]))
"""
CHANGES = {
    "batch_size": 2,
    "epochs": 6,
    "gradient_accumulation": 2,
    "checkpoint_steps": 1,
    "eval_steps": 2,
    "lora_dropout": 0.1,
}


@pytest.mark.slow
def test_a_killed_training_goes_on_as_if_nothing_had_happened(tiny_preset, tmp_path):
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, tiny_preset, str(tmp_path), json.dumps(CHANGES)],
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]
    checkpoints = TrainingCheckpoints(str(tmp_path), ["test"])
    resumed = tune(tiny_preset, checkpoints=checkpoints, **CHANGES)
    unbroken = tune(tiny_preset, **CHANGES)
    assert resumed.facts["resumed_at"] == 3
    assert unbroken.facts["resumed_at"] is None
    for fact in ("steps", "losses", "eval_losses", "best_step", "tokens"):
        assert resumed.facts[fact] == unbroken.facts[fact], fact
    assert_same(resumed.model, unbroken.model, atol=1e-6)
    checkpoints.clear()
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_checkpoint_is_not_used(tmp_path, caplog):
    checkpoints = TrainingCheckpoints(str(tmp_path), ["a"])
    assert checkpoints.load() is None
    checkpoints.save(Checkpoint({"losses": [1.5]}, {"weights": [np.eye(2)], "best": []}))
    stored = checkpoints.load()
    assert stored.record == {"losses": [1.5]}
    np.testing.assert_array_equal(stored.arrays["weights"][0], np.eye(2))
    assert TrainingCheckpoints(str(tmp_path), ["b"]).load() is None
    [file] = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    assert checkpoints.load() is None
    assert str(file) in caplog.text


def test_rows_are_drawn_alike_from_any_step_on(tiny_preset, tokenizer):
    rows = data.tokenize(formatted(PAIRS), tokenizer, 64).rows
    hparams = TrainHParams(preset=PRESET, batch_size=1, gradient_accumulation=3)
    from_start, from_second = (training_batches(rows, hparams, first) for first in (0, 2))
    skipped = [next(from_start) for _ in range(6)]
    assert len(skipped) == 6
    for _ in range(9):
        (inputs, *_), (others, *_) = next(from_start), next(from_second)
        np.testing.assert_array_equal(inputs["token_ids"], others["token_ids"])


def test_fit_is_the_door(tiny_preset):
    """`fit` alone, without a Trainer around it, trains what it is given."""
    model = load_model(tiny_preset, "float32")
    hparams = TrainHParams(preset=PRESET, max_steps=2, batch_size=2)
    enable_lora(model, hparams)
    rows = data.tokenize(formatted(PAIRS), model.preprocessor.tokenizer, 64).rows
    facts = fit(model, rows, (), hparams)
    assert (facts["steps"], facts["eval_loss"], facts["best_step"]) == (2, None, 2)


@pytest.mark.parametrize(
    ("has_accelerator", "wanted", "compiles"),
    [(False, None, False), (True, None, True), (True, False, False), (False, True, True)],
    ids=["cpu", "accelerator", "switched-off", "switched-on"],
)
def test_xla_compiles_steps_where_there_is_an_accelerator_or_it_is_wanted(
    tiny, monkeypatch, has_accelerator, wanted, compiles
):
    monkeypatch.setattr("models.backend.has_accelerator", lambda: has_accelerator)
    hparams = TrainHParams(preset=PRESET, batch_size=4, jit_compile=wanted)
    rows = data.tokenize(formatted(PAIRS), tiny.preprocessor.tokenizer, 128).rows
    training = loop._Training(tiny, rows, (), hparams, ())
    assert training._model.jit_compile is compiles
    inputs, _, _ = next(training_batches(rows, hparams, 0))
    length = inputs["token_ids"].shape[1]
    assert length == (64 if compiles else max(len(row.tokens) for row in rows) - 1)


def test_an_accelerator_evaluates_in_the_compiled_function(tiny, monkeypatch):
    hparams = TrainHParams(preset=PRESET, batch_size=3, jit_compile=False)
    rows = data.tokenize(formatted(PAIRS), tiny.preprocessor.tokenizer, 128).rows
    training = loop._Training(tiny, rows, rows, hparams, ())
    measured = (training._model, training._eval_loss, rows, hparams)
    eager = loop._eval_loss(*measured)
    monkeypatch.setattr(loop, "has_accelerator", lambda: True)
    with mock.patch.object(
        training._model, "test_on_batch", side_effect=training._model.test_on_batch
    ) as evaluated:
        assert loop._eval_loss(*measured) == pytest.approx(eager, rel=1e-4)
    assert evaluated.call_count == 2, "of three rows and of one"


@pytest.mark.slow
def test_xla_computes_the_same_losses(tiny_preset):
    changes = {"max_steps": 2, "batch_size": 4, "eval_batches": 0}
    found = [tune(tiny_preset, jit_compile=xla, **changes).facts for xla in (False, True)]
    np.testing.assert_allclose(found[1]["losses"], found[0]["losses"], rtol=1e-4)
