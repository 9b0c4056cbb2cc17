"""Loss and gradients are those of transformers and PEFT on the same weights and batch.

`fixtures/transformers.npz` holds what they compute (`make_transformers_fixture.py`). The sums are
in another order: losses agree to 1e-5, gradients to 1e-3 of the largest one.
"""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from core.families import chat_template_for
from models import data
from models.export.verification import PROMPTS, Verifier
from models.training.loss import ResponseLoss, backbone_with_response_positions
from tests.models.agreement import (
    EXPORTED,
    FAMILIES,
    rows,
    seeded_model,
    with_value_factors,
)

FIXTURE = Path(__file__).parents[1] / "fixtures" / "transformers.npz"
WITH_PEFT = tuple(name for name in FAMILIES if name != "mistral-tiny")


@pytest.fixture(scope="module")
def theirs():
    return np.load(FIXTURE)


def loss_and_gradients(model, variables):
    inputs, labels = next(data.batches(rows(), 3, None))
    [weights] = data.label_weights([labels])
    states = backbone_with_response_positions(model)
    with tf.GradientTape() as tape:
        loss = ResponseLoss(model)(labels, states(inputs), weights)
    return float(loss), tape.gradient(loss, [variable.value for variable in variables])


def assert_close(ours, theirs, what):
    difference = np.abs(np.asarray(ours) - theirs).max()
    assert difference <= 1e-3 * np.abs(theirs).max(), what


def as_linear(gradient):
    """The gradient of an attention kernel `(heads, model, width)` as of a linear layer's weight."""
    gradient = np.asarray(gradient).transpose(0, 2, 1)
    return gradient.reshape(-1, gradient.shape[-1])


@pytest.mark.parametrize("name", FAMILIES)
def test_all_weights(name, theirs, tiny_cache):
    model = seeded_model(name, tiny_cache)
    block = model.backbone.transformer_layers[0]
    if name == "mistral-tiny":
        attention = block._self_attention_layer
        projections = (attention._query_dense, attention._key_dense, attention._output_dense)
        feedforward = (block._feedforward_intermediate_dense, block._feedforward_output_dense)
    else:
        attention = block.attention
        projections = (attention.query_dense, attention.key_dense, attention.output_dense)
        feedforward = (block.gating_ffw_2, block.ffw_linear)
    variables = [layer.kernel for layer in (*projections, *feedforward)]
    loss, (query, key, output, up, down) = loss_and_gradients(model, variables)
    assert loss == pytest.approx(theirs[f"{name}/loss"].item(), rel=1e-5)
    to_linear = as_linear
    if name == "mistral-tiny":  # kernels of (model, heads, width)
        to_linear = lambda kernel: np.asarray(kernel).reshape(kernel.shape[0], -1).T  # noqa: E731
    assert_close(to_linear(query), theirs[f"{name}/gradient/query"], "query")
    assert_close(to_linear(key), theirs[f"{name}/gradient/key"], "key")
    output = np.asarray(output).reshape(-1, output.shape[-1]).T
    assert_close(output, theirs[f"{name}/gradient/output"], "output")
    assert_close(np.asarray(up).T, theirs[f"{name}/gradient/up"], "up")
    assert_close(np.asarray(down).T, theirs[f"{name}/gradient/down"], "down")


@pytest.mark.parametrize("name", WITH_PEFT)
def test_lora_factors(name, theirs, tiny_cache):
    model = seeded_model(name, tiny_cache)
    variables = with_value_factors(model)
    loss, gradients = loss_and_gradients(model, variables)
    assert loss == pytest.approx(theirs[f"{name}/lora/loss"].item(), rel=1e-5)
    assert loss != pytest.approx(theirs[f"{name}/loss"].item(), rel=5e-6)
    for number in range(len(variables) // 2):
        a, b = gradients[2 * number], gradients[2 * number + 1]
        a = np.asarray(a).reshape(-1, a.shape[-1]).T
        assert_close(a, theirs[f"{name}/lora/{number}/a"], "a")
        assert_close(np.asarray(b).T, theirs[f"{name}/lora/{number}/b"], "b")


@pytest.mark.parametrize("name", EXPORTED)
def test_a_checkpoint_is_prompted_and_answers_alike_in_transformers(name, theirs, tiny_cache):
    verifier = Verifier(seeded_model(name, tiny_cache), chat_template_for(f"random:{name}"))
    assert [prompt.text for prompt in verifier.prompts] == list(PROMPTS)
    for number, prompt in enumerate(verifier.prompts):
        chat = f"{name}/chat/{number}"
        assert list(prompt.tokens) == theirs[f"{chat}/prompt"].tolist()
        assert list(prompt.continuation) == theirs[f"{chat}/continuation"].tolist()
