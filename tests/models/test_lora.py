import numpy as np
import pytest
from keras import ops

from models import data, gemma
from models.errors import ModelError
from models.generate import Generator
from models.hparams import TrainHParams
from models.lora import enable_lora
from models.training_model import ResponseLoss, response_model
from tests.models.tuning import PAIRS, PRESET, tune

HPARAMS = TrainHParams(preset=PRESET, lora_rank=4)


def loss_and_labels(model, rows):
    inputs, labels = next(data.batches(rows, len(rows), None))
    [weights] = data.label_weights([labels])
    loss = ResponseLoss()(labels, response_model(model)(inputs), weights)
    return float(loss), int((labels != data.IGNORED_LABEL).sum())


def mean_loss(model, rows):
    """Nats per response token, from each row alone."""
    losses, counts = zip(*(loss_and_labels(model, [row]) for row in rows), strict=True)
    return np.average(losses, weights=counts)


@pytest.fixture(scope="module")
def one_step(tiny_preset):
    """Trained from another seed, for one step."""
    return tune(tiny_preset, seed=1, max_steps=1, eval_batches=1)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_only_lora_factors_train_and_they_are_float32(tiny_preset, dtype):
    model = gemma.load_model(tiny_preset, dtype)
    everything = {v.path for v in model.backbone.variables}
    enable_lora(model, HPARAMS)
    trainable = model.backbone.trainable_variables
    assert len(trainable) == 2 * 2 * 2, "two factors of two projections of two layers"
    assert not everything & {v.path for v in trainable}
    assert {v.dtype for v in trainable} == {"float32"}
    assert {v.dtype for v in model.backbone.variables if v.path in everything} == {dtype}


def test_fresh_factors_change_nothing(tiny):
    inputs = {"token_ids": np.arange(2, 14)[None], "padding_mask": np.ones((1, 12), "bool")}
    before = np.asarray(tiny(inputs))
    enable_lora(tiny, HPARAMS)
    np.testing.assert_allclose(tiny(inputs), before, atol=1e-6)


def test_trainable_bfloat16_weights_are_refused(tiny_preset, monkeypatch):
    model = gemma.load_model(tiny_preset, "bfloat16")
    # As a KerasHub whose factors have the precision of the base weights.
    monkeypatch.setattr(model.backbone, "enable_lora", lambda rank, names: None)
    with pytest.raises(ModelError, match=r"not float32, .* Set training\.dtype=float32"):
        enable_lora(model, HPARAMS)


def test_a_few_rows_are_learned_by_heart(tuned):
    losses = tuned.facts["losses"]
    assert losses[-1] < 0.65 * losses[0], losses
    assert tuned.facts["eval_loss"] < 0.65 * tuned.facts["eval_loss_before"]
    answers = Generator(tuned.model).respond([prompt for prompt, _ in PAIRS], 24, 4)
    assert answers == [(output, "stop") for _, output in PAIRS]


def test_bfloat16_weights_with_float32_factors_learn_as_float32_does(tiny_preset, tuned):
    fast = tune(tiny_preset, dtype="bfloat16")
    assert fast.facts["losses"][0] == pytest.approx(tuned.facts["losses"][0], abs=0.01)
    assert fast.facts["eval_loss"] == pytest.approx(tuned.facts["eval_loss"], abs=0.1)


def test_training_leaves_the_base_weights_as_they_are(tiny, tuned):
    base = {v.path: v for v in tiny.backbone.variables}
    after = {v.path: v for v in tuned.model.backbone.variables}
    assert base.keys() < after.keys()
    for path, variable in base.items():
        np.testing.assert_array_equal(after[path], variable, err_msg=path)
    for factor in tuned.model.backbone.trainable_variables:
        assert ops.any(factor != 0), factor.path


def test_the_eval_loss_weighs_every_response_token_alike(tiny, tuned):
    expected = {"eval_loss_before": tiny, "eval_loss": tuned.model}
    for fact, model in expected.items():
        assert tuned.facts[fact] == pytest.approx(mean_loss(model, tuned.rows), abs=1e-3)


def test_the_facts_count_steps_tokens_and_weights(tuned):
    facts = tuned.facts
    assert facts["steps"] == len(facts["losses"]) == 80 * 2, "batches of three and of one"
    assert facts["tokens"] == 80 * sum(len(row.tokens) - 1 for row in tuned.rows)
    trainable = tuned.model.backbone.trainable_variables
    assert facts["trainable_weights"] == sum(ops.size(v) for v in trainable)
    assert facts["tokens_per_second"] > 0


def test_the_seed_alone_decides_the_losses(tiny_preset, tuned, one_step):
    assert tune(tiny_preset).facts["losses"] == tuned.facts["losses"]
    assert one_step.facts["losses"][0] != tuned.facts["losses"][0]


def test_the_first_step_already_learns(one_step):
    for factor in one_step.model.backbone.trainable_variables:
        assert ops.any(factor != 0), factor.path


def test_max_steps_and_eval_batches_are_bounds(one_step, tiny):
    assert one_step.facts["steps"] == len(one_step.facts["losses"]) == 1
    first_batch = sorted(one_step.rows, key=lambda row: len(row.tokens))[:3]
    expected = mean_loss(tiny, first_batch)
    assert one_step.facts["eval_loss_before"] == pytest.approx(expected, abs=1e-3)
