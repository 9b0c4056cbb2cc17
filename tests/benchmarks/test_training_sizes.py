"""The measured training is one: its losses are those of chance, and what it held is counted."""

import math

from benchmarks.training_sizes import MODELS, train


def test_what_is_measured():
    family, sizes = MODELS["Gemma 3 1B"]
    tiny = sizes | {"vocabulary_size": 512, "num_layers": 2, "hidden_dim": 32, "head_dim": 16}
    found = train(family, tiny | {"intermediate_dim": 64}, batch=2, tokens=40)
    assert found["device"] == "CPU"
    assert len(found["losses"]) == 3
    assert all(abs(loss - math.log(512)) < 0.1 for loss in found["losses"])
    weights_gib = 2 * found["parameters"] / 2**30
    assert weights_gib < found["tensors_gib"] < found["process_gib"]
    assert found["tokens_per_second"] > 0
