"""What a training changes: LoRA factors, with dropout and beside 8-bit weights, or all weights."""

import numpy as np
import pytest
from keras import ops

from core.errors import ModelError
from models import data
from models.generation.generate import Generator
from models.hparams import TrainHParams
from models.loading.load import load_model, resolve_preset
from models.training.lora import enable_lora
from models.training.loss import ResponseLoss, backbone_with_response_positions
from tests.models.tuning import PAIRS, PRESET, tune, write

HPARAMS = TrainHParams(preset=PRESET, lora_rank=4)


def loss_and_labels(model, rows):
    inputs, labels = next(data.batches(rows, len(rows), None))
    [weights] = data.label_weights([labels])
    loss = ResponseLoss(model)(labels, backbone_with_response_positions(model)(inputs), weights)
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
    model = load_model(tiny_preset, dtype)
    everything = {v.path for v in model.backbone.variables}
    enable_lora(model, HPARAMS)
    trainable = model.backbone.trainable_variables
    assert len(trainable) == 2 * 2 * 2, "two factors of two projections of two layers"
    assert not everything & {v.path for v in trainable}
    assert {v.dtype for v in trainable} == {"float32"}
    assert {v.dtype for v in model.backbone.variables if v.path in everything} == {dtype}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_biases_of_projections_stay_as_they_are(tiny_cache, dtype):
    """The file of the factors has no place for them."""
    model = load_model(resolve_preset("random:qwen-tiny", tiny_cache), dtype)
    assert any(v.path.endswith("query/bias") for v in model.backbone.variables)
    enable_lora(model, HPARAMS)
    trained = [v.path.rpartition("/")[2] for v in model.backbone.trainable_variables]
    assert set(trained) == {"lora_kernel_a", "lora_kernel_b"}


def test_fresh_factors_change_nothing(tiny):
    inputs = {"token_ids": np.arange(2, 14)[None], "padding_mask": np.ones((1, 12), "bool")}
    before = np.asarray(tiny(inputs))
    enable_lora(tiny, HPARAMS)
    np.testing.assert_allclose(tiny(inputs), before, atol=1e-6)


def test_trainable_bfloat16_weights_are_refused(tiny_preset, monkeypatch):
    model = load_model(tiny_preset, "bfloat16")
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


def test_all_weights_can_be_trained(tiny_preset, tiny):
    tuned = tune(tiny_preset, method="full", max_steps=2, learning_rate=1e-3)
    n_weights = sum(int(np.prod(v.shape)) for v in tiny.backbone.variables)
    assert tuned.facts["trainable_weights"] == n_weights
    changed = [
        not np.array_equal(a, b)
        for a, b in zip(tuned.model.backbone.variables, tiny.backbone.variables, strict=True)
    ]
    assert all(changed)


@pytest.mark.slow
def test_factors_beside_8_bit_weights_learn_and_are_merged_into_them(tiny_preset, tmp_path):
    tuned = tune(tiny_preset, quantization="int8", exports=(), epochs=15)
    kernels = {v.dtype for v in tuned.model.backbone.variables if v.path.endswith("kernel")}
    assert "int8" in kernels
    assert tuned.facts["eval_loss"] < 0.8 * tuned.facts["eval_loss_before"]
    write(tuned, tmp_path, tiny_preset, quantization="int8", exports=())
    reloaded = load_model(str(tmp_path / "preset"), "float32")
    assert kernels == {v.dtype for v in reloaded.backbone.variables if v.path.endswith("kernel")}
    prompts = [prompt for prompt, _ in PAIRS]
    answers = Generator(reloaded).respond(prompts, 8, 4)
    assert answers == Generator(tuned.model).respond(prompts, 8, 4)


@pytest.mark.parametrize(
    ("targets", "count"), [("query-value", 2), ("attention", 4), ("all-linear", 7)]
)
def test_the_targets_are_the_projections_that_get_factors(tiny, targets, count):
    enable_lora(tiny, TrainHParams(preset=PRESET, lora_targets=targets, lora_rank=3))
    factors = tiny.backbone.trainable_variables
    assert len(factors) == 2 * 2 * count
    assert {v.shape[-1] for v in factors if v.path.endswith("lora_kernel_a")} == {3}
    assert {v.shape[0] for v in factors if v.path.endswith("lora_kernel_b")} == {3}


def test_alpha_scales_what_the_factors_do(tiny_preset):
    outputs = {}
    inputs = {"token_ids": np.arange(2, 14)[None], "padding_mask": np.ones((1, 12), "bool")}
    for alpha in (None, 4, 8):
        model = load_model(tiny_preset, "float32")
        enable_lora(model, TrainHParams(preset=PRESET, lora_rank=4, lora_alpha=alpha))
        for number, v in enumerate(model.backbone.trainable_variables):
            # alpha 8 with half the factor is alpha 4
            part = 0.5 if alpha == 8 and "lora_kernel_b" in v.path else 1.0
            rng = np.random.default_rng(number)
            v.assign(part * rng.normal(0, 0.1, v.shape))
        outputs[alpha] = np.asarray(model(inputs))
    np.testing.assert_allclose(outputs[4], outputs[None], atol=1e-5)
    np.testing.assert_allclose(outputs[8], outputs[None], atol=1e-5)


def test_dropout_acts_while_training_only_and_the_seed_decides_it(tiny_preset):
    changes = {"max_steps": 6, "lora_dropout": 0.5, "lora_targets": "all-linear"}
    one, again = (tune(tiny_preset, **changes) for _ in range(2))
    without = tune(tiny_preset, **{**changes, "lora_dropout": 0.0})
    assert one.facts["losses"] == again.facts["losses"]
    assert one.facts["losses"][2:] != without.facts["losses"][2:]
    inputs, _ = next(data.batches(one.rows, 2, None))
    inputs.pop("positions")
    np.testing.assert_array_equal(one.model(inputs, training=True), one.model(inputs))


def test_the_expectation_of_dropout_is_the_layer_without_it(tiny):
    from models.tensorflow_patches.lora_forward import lora_forward

    enable_lora(tiny, TrainHParams(preset=PRESET, lora_rank=4, lora_alpha=8))
    layer = next(x for x in tiny.backbone._flatten_layers() if getattr(x, "lora_enabled", False))
    layer.lora_kernel_b.assign(np.random.default_rng(0).normal(0, 1, layer.lora_kernel_b.shape))
    x = np.random.default_rng(1).normal(0, 1, (1, 3, 96)).astype("float32")
    plain = np.asarray(layer(x))
    with lora_forward(tiny, 0.3, seed=0):
        np.testing.assert_allclose(layer(x, training=False), plain, atol=1e-5)
        draws = np.mean([np.asarray(layer(x, training=True)) for _ in range(2000)], axis=0)
    scale = np.abs(plain).max()
    assert np.abs(draws - plain).max() < 0.1 * scale
    np.testing.assert_allclose(layer(x, training=True), plain, atol=1e-5)
