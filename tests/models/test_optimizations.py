"""With each optimization switched off, a training and a generation stay the same."""

from unittest import mock

import numpy as np
import pytest
from pydantic import ValidationError

from core.optimizations import GenerationOptimizations, TrainingOptimizations
from models.generation.decoding import CachedDecoder, KerasHubDecoder
from models.generation.generate import Generator
from models.hparams import TrainHParams
from models.loading.load import load_model
from tests.models.tuning import PAIRS, PRESET, tune

PROMPTS = [prompt for prompt, _ in PAIRS]
STEPS = {"epochs": 3, "lora_targets": "all-linear"}
# What a switched-off optimization must not call.
PATCHES = {
    "in_place_loading": "models.loading.load.in_place_loading",
    "untransposed_output_head": "models.loading.load.untranspose_output_head",
    "lora_forward": "models.tensorflow_patches.lora_forward._call",
    "recomputed_gelu": "models.tensorflow_patches.rematerialization._gelu",
    "recomputed_rms_norm": "models.tensorflow_patches.rematerialization._rms_norm",
    "recomputed_attention": "models.tensorflow_patches.rematerialization._attention",
    "chunked_cross_entropy": "models.tensorflow_patches.chunked_cross_entropy._chunked",
    "fused_adam": "models.tensorflow_patches.fused_adam.FusedAdamW",
    "traced_blocks": "models.tensorflow_patches.traced_blocks._function_of",
    "cached_decoding": "models.generation.decoding.CachedDecoder.__call__",
    "packed_output_table": "models.generation.decoding.packed_table",
}


def without(kind, name):
    return kind(**{field: False for field in kind.model_fields if name in (field, "all of them")})


@pytest.fixture
def unused(request):
    """Makes the patch fail that must not be used."""
    name = request.getfixturevalue("name")
    paths = PATCHES.values() if name == "all of them" else [PATCHES[name]]
    with pytest.MonkeyPatch.context() as patch:
        for path in paths:
            patch.setattr(path, mock.Mock(side_effect=AssertionError(f"{path} was used")))
        yield


@pytest.fixture(scope="module")
def optimized(tiny_preset):
    return tune(tiny_preset, **STEPS).facts


@pytest.mark.parametrize("name", [*TrainingOptimizations.model_fields, "all of them"])
def test_a_training_is_the_same_without(name, tiny_preset, optimized, unused):
    switches = without(TrainingOptimizations, name)
    facts = tune(tiny_preset, optimizations=switches, **STEPS).facts
    assert facts["losses"][-1] < facts["losses"][0]
    for fact in ("losses", "eval_loss", "eval_loss_before"):
        np.testing.assert_allclose(facts[fact], optimized[fact], rtol=1e-3, err_msg=fact)
    assert facts["trainable_weights"] == optimized["trainable_weights"]


@pytest.fixture(scope="module")
def preset_of_tuned(tuned, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned")
    tuned.model.save_to_preset(str(folder))
    return str(folder)


@pytest.mark.parametrize("name", [*GenerationOptimizations.model_fields, "all of them"])
def test_a_generation_is_the_same_without(name, preset_of_tuned, unused):
    switches = without(GenerationOptimizations, name)
    model = load_model(preset_of_tuned, "float32", optimizations=switches)
    generator = Generator(model, optimizations=switches)
    decoder = CachedDecoder if switches.cached_decoding else KerasHubDecoder
    assert isinstance(generator._decoder, decoder)
    answers = generator.respond(PROMPTS, 24, 3)
    assert answers == [(output, "stop") for _, output in PAIRS]


@pytest.mark.parametrize("name", PATCHES)
def test_every_optimization_is_on_unless_switched_off(name, tiny_preset, preset_of_tuned):
    """What the tests above forbid is what runs with the defaults."""

    def run():
        if name in TrainingOptimizations.model_fields:
            tune(tiny_preset, **STEPS)
        else:
            Generator(load_model(preset_of_tuned, "float32")).respond(PROMPTS, 4, 3)

    used = RuntimeError(f"{name} is used")
    with mock.patch(PATCHES[name], side_effect=used), pytest.raises(Exception, match=str(used)):
        run()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optimizations": {"fast_math": True}}, "fast_math"),
        (
            {"optimizations": {"lora_forward": False}, "lora_dropout": 0.1},
            "lora_dropout=0.1 needs the optimization lora_forward",
        ),
    ],
)
def test_a_switch_that_cannot_be_is_refused_with_the_configuration(values, message):
    with pytest.raises(ValidationError, match=message):
        TrainHParams(preset=PRESET, **values)
