"""The measured training is one: its losses are those of chance, and what it held is counted."""

import math

from benchmarks.training_sizes import MODELS, train


def test_what_is_measured():
    family, sizes = MODELS["Gemma 3 1B"]
    # Small tensors are not counted: the embeddings are large enough.
    tiny = sizes | {"vocabulary_size": 8192, "num_layers": 2, "hidden_dim": 64, "head_dim": 16}
    found = train(family, tiny | {"intermediate_dim": 64}, batch=2, tokens=40)
    assert found["device"] == "CPU"
    assert len(found["losses"]) == 2
    assert all(abs(loss - math.log(8192)) < 0.1 for loss in found["losses"])
    embeddings_gib = 2 * 8192 * 64 / 2**30
    if not math.isnan(found["tensors_gib"]):
        assert embeddings_gib < found["tensors_gib"] < found["process_gib"]
    assert found["process_gib"] > embeddings_gib
    assert found["tokens_per_second"] > 0
