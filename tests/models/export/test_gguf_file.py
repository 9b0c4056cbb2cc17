"""GGUF files that are written here, read by llama.cpp and by the project's own reader."""

import numpy as np
import pytest

from core.families import GEMMA
from models.export.gguf_file import GGUF_FILE, export_gguf, llama3_rope_factors
from models.export.llama_cpp import verify_gguf
from models.export.llama_cpp_server import LlamaCpp
from models.export.verification import Verifier
from models.generation.generate import Generator
from models.loading import gguf
from models.loading.load import load_model
from tests.models.tuning import PAIRS

INPUTS = {"token_ids": np.arange(2, 26).reshape(2, 12), "padding_mask": np.ones((2, 12), "bool")}


@pytest.fixture(scope="module")
def float32_file(tuned, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gguf")
    tuned.model.save_to_preset(str(folder / "merged"))
    merged = load_model(str(folder / "merged"), "float32")
    export_gguf(merged, folder, GEMMA, gguf_type="f32", sequence_length=64)
    return folder / GGUF_FILE


def test_llama_cpps_chat_gives_the_trained_responses(float32_file):
    server = LlamaCpp(str(float32_file), 256)
    assert [server.chat(prompt, 40) for prompt, _ in PAIRS] == [output for _, output in PAIRS]


def test_a_written_file_becomes_the_same_preset_again(float32_file, tuned, tmp_path):
    again = load_model(gguf.convert_file(str(float32_file), str(tmp_path)), "float32")
    np.testing.assert_allclose(again(INPUTS), tuned.model(INPUTS), atol=1e-5)
    prompts = [prompt for prompt, _ in PAIRS]
    assert Generator(again).respond(prompts, 24, 4) == [(output, "stop") for _, output in PAIRS]


def test_llama_3s_rope_factors_leave_high_frequencies_and_divide_low_ones():
    # Llama 3.2 1B. Expected: frequencies without scaling divided by those of transformers'
    # `ROPE_INIT_FUNCTIONS["llama3"]` (5.24).
    scaling = {
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    config = {"rope_scaling": scaling, "rope_theta": 500000.0, "head_dim": 64}
    factors = llama3_rope_factors(config)
    expected = [*[1.0] * 15, 1.6513, 3.2923, 9.6667, *[32.0] * 14]
    np.testing.assert_allclose(factors, expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gguf_type", "largest"),
    [pytest.param("f32", 0.002, marks=pytest.mark.soak), ("q8_0", 0.05)],
)
def test_the_packaged_gemma_in_llama_cpp(packaged_preset, tmp_path, gguf_type, largest):
    model = load_model(packaged_preset, "float32")
    export_gguf(model, tmp_path, GEMMA, gguf_type=gguf_type, sequence_length=256)
    verifier = Verifier(model, GEMMA)
    found = verify_gguf(tmp_path, gguf_type, verifier)
    assert found.tokens >= 16
    assert found.logit_difference <= largest
