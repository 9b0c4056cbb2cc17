import keras
import numpy as np
import pytest

from models import data
from models.hparams import TrainHParams
from models.loading import tiny
from models.loading.load import load_model, resolve_preset
from models.tensorflow_patches.lora_forward import factor_equations, lora_forward, product
from models.training.lora import enable_lora
from models.training.loss import lm_with_response_positions
from tests.models.agreement import rows

SIZES = dict(
    zip("abcdefhkmnqstuvxy", (2, 3, 5, 7, 4, 6, 8, 2, 9, 3, 5, 4, 3, 2, 3, 6, 5), strict=True)
)
# Of Gemma's, Mistral's and Llama's projections, and one that is none of these forms.
EQUATIONS = (
    "btd,ndh->btnh",
    "bsd,kdh->bskh",
    "btnh,nhd->btd",
    "btd,df->btf",
    "bqm,muh->bquh",
    "bquh,uhm->bqm",
    "abx,xy->aby",
    "btd,hdn->btnh",
)


def operand(axes, seed):
    shape = [SIZES[axis] for axis in axes]
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize("equation", EQUATIONS)
def test_a_product_is_the_einsum(equation):
    left, right = equation.split("->")[0].split(",")
    x, kernel = operand(left, 0), operand(right, 1)
    expected = np.einsum(equation, x, kernel)
    np.testing.assert_allclose(product(equation, x, kernel), expected, atol=1e-4)


@pytest.mark.parametrize("equation", EQUATIONS)
def test_the_factors_one_after_the_other_are_their_product(equation):
    left, right = equation.split("->")[0].split(",")
    x, a, b = operand(left, 0), operand(right[:-1] + "a", 1), operand("a" + right[-1], 2)
    first, second = factor_equations(equation)
    factored = np.einsum(second, np.einsum(first, x, a), b)
    np.testing.assert_allclose(factored, np.einsum(equation, x, a @ b), atol=1e-3)


@pytest.mark.parametrize("name", tiny.names())
@pytest.mark.parametrize("targets", ["query-value", "all-linear"])
def test_logits_stay_as_they_are(name, targets, tiny_cache):
    model = load_model(resolve_preset(f"random:{name}", tiny_cache), "float32")
    enable_lora(model, TrainHParams(preset="-", lora_rank=3, lora_alpha=5.0, lora_targets=targets))
    rng = np.random.default_rng(0)
    for variable in model.backbone.trainable_variables:
        variable.assign(rng.normal(0, 0.2, variable.shape))
    inputs, _ = next(data.batches(rows(), 3, None))
    inputs["token_ids"] %= model.backbone.vocabulary_size
    calls = {layer: layer.call for layer in model.backbone._flatten_layers()}
    expected = np.asarray(lm_with_response_positions(model)(inputs))
    with lora_forward(model, 0.0, 0) as states:
        assert states == []
        logits = np.asarray(lm_with_response_positions(model)(inputs, training=True))
    np.testing.assert_allclose(logits, expected, atol=1e-4 * np.abs(expected).max())
    assert {layer: layer.call for layer in calls} == calls, "as before"


def test_quantized_projections_keep_their_own_way(tiny_cache):
    model = load_model(resolve_preset("random:gemma3-tiny", tiny_cache), "float32", "int8")
    enable_lora(model, TrainHParams(preset="-", quantization="int8", exports=()))
    quantized = [
        layer
        for layer in model.backbone._flatten_layers()
        if isinstance(layer, keras.layers.EinsumDense) and layer.quantization_mode
    ]
    assert quantized
    calls = [layer.call for layer in quantized]
    with lora_forward(model, 0.0, 0):
        assert [layer.call for layer in quantized] == calls
