import json

import numpy as np
import pytest

from models import gemma
from models.export import export
from models.features import GEMMA
from models.generate import Generator, generate_fn
from models.hparams import TrainHParams
from models.lora import enable_lora
from tests.models.tuning import PAIRS, PRESET

PROMPTS = [prompt for prompt, _ in PAIRS] + ["hello team", "what is it?"]
INPUTS = {"token_ids": np.arange(2, 26).reshape(2, 12), "padding_mask": np.ones((2, 12), "bool")}


def write(tuned, folder):
    return export(
        tuned.model, str(folder), GEMMA, tuned.rows, sequence_length=64, with_transformers=True
    )


def greedy(model):
    return Generator(model).respond(PROMPTS, 16, len(PROMPTS))


@pytest.fixture(scope="module")
def exported(tuned, tmp_path_factory):
    """A folder as the Trainer writes it, with what the model computed before and after."""
    folder = tmp_path_factory.mktemp("serving")
    before = np.asarray(tuned.model(INPUTS))
    write(tuned, folder)
    np.testing.assert_array_equal(tuned.model(INPUTS), before, err_msg="export changed the model")
    return folder


@pytest.fixture(scope="module")
def expected(tuned):
    return greedy(tuned.model)


def test_the_preset_holds_the_merged_model(exported, tuned, expected):
    model = gemma.load_model(str(exported / "preset"), "float32")
    np.testing.assert_allclose(model(INPUTS), tuned.model(INPUTS), atol=1e-4)
    assert greedy(model) == expected


def test_the_adapter_on_the_base_model_is_the_same_model(exported, tiny, tuned, expected):
    enable_lora(tiny, TrainHParams(preset=PRESET, lora_rank=8))
    tiny.backbone.load_lora_weights(str(exported / "adapter.lora.h5"))
    np.testing.assert_allclose(tiny(INPUTS), tuned.model(INPUTS), atol=1e-5)
    assert greedy(tiny) == expected


def test_generate_fn_answers_with_the_exported_model(exported, expected):
    settings = {
        "max_output_tokens": 16,
        "batch_size": len(PROMPTS),
        "samples": 1,
        "temperature": 0.0,
        "seed": 0,
        "dtype": "float32",
    }
    answers = generate_fn(model_dir=str(exported), preset="", prompts=PROMPTS, settings=settings)
    assert answers == [[sample] for sample in expected]


def test_how_the_model_is_prompted_is_written_beside_it(exported):
    facts = json.loads((exported / "generation.json").read_text(encoding="utf-8"))
    assert facts == {
        "prefix": "<start_of_turn>user\n",
        "suffix": "<end_of_turn>\n<start_of_turn>model\n",
        "stop": ["<end_of_turn>"],
        "sequence_length": 64,
    }


def test_the_adapter_is_small_and_the_preset_is_kerashubs(exported):
    adapter = (exported / "adapter.lora.h5").stat().st_size
    weights = sum(f.stat().st_size for f in (exported / "preset").glob("*.weights.h5"))
    assert 0 < adapter < weights / 4
    assert (exported / "preset" / "config.json").is_file()


def test_an_export_can_be_repeated_into_the_same_folder(exported, tuned, expected):
    write(tuned, exported)
    assert greedy(gemma.load_model(str(exported / "preset"), "float32")) == expected
