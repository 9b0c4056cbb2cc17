"""The memory that a LoRA training of Gemma needs, by size and rows of a batch, at 1,024 tokens.

`python -m benchmarks.training_sizes` prints a Markdown table; on two cores it takes about six
minutes and 13 GiB. The weights are random in bfloat16, as memory does not depend on them. Each
model is a process of its own; the first GPU is used where there is one. "Tensors" is the
peak of TensorFlow's allocator: of the device, where that is a GPU. "Process" is the largest
resident set.
"""

import argparse
import json
import math
from typing import Any

import numpy as np

from benchmarks import gemma as shared
from benchmarks import processes

_TOKENS = 1024
_RANK = 8
_STEPS = 2
# KerasHub's backbone, and the sizes that the model cards and KerasHub's presets give.
_GEMMA3 = {
    "vocabulary_size": 262_144,
    "num_query_heads": 4,
    "num_key_value_heads": 1,
    "head_dim": 256,
    "query_head_dim_normalize": True,
    "use_query_key_norm": True,
    "use_post_ffw_norm": True,
    "use_post_attention_norm": True,
    "use_sliding_window_attention": True,
    "sliding_window_size": 512,
    "image_size": None,
    "vision_encoder": None,
}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "Gemma 3 270M": (
        "Gemma3",
        _GEMMA3 | {"num_layers": 18, "hidden_dim": 640, "intermediate_dim": 2048},
    ),
    "Gemma 3 1B": (
        "Gemma3",
        _GEMMA3 | {"num_layers": 26, "hidden_dim": 1152, "intermediate_dim": 6912},
    ),
    "Gemma 2B": (
        "Gemma",
        {
            "vocabulary_size": 256_000,
            "num_layers": 18,
            "num_query_heads": 8,
            "num_key_value_heads": 1,
            "head_dim": 256,
            "hidden_dim": 2048,
            "intermediate_dim": 32_768,
        },
    ),
}
_BATCHES = (1, 4)


def main() -> None:
    """Measures and prints the table, or is the process that is measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--child", nargs=2, metavar=("MODEL", "BATCH"))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--batches", nargs="+", type=int, default=_BATCHES)
    arguments = parser.parse_args()
    if arguments.child:
        name, batch = arguments.child
        print(json.dumps(train(*MODELS[name], int(batch), _TOKENS)))
        return
    print(
        "| model | parameters, millions | rows of a batch | device | tensors, GiB | process, GiB "
        "| tokens / s |\n|---|---|---|---|---|---|---|"
    )
    for name in arguments.models:
        for batch in arguments.batches:
            processes.progress(f"training_sizes, {name}, {batch} rows")
            found = processes.ours("training_sizes", "--child", name, str(batch))
            print(
                f"| {name} | {found['parameters'] / 1e6:.0f} | {batch} | {found['device']} | "
                f"{found['tensors_gib']:.1f} | {found['process_gib']:.1f} | "
                f"{found['tokens_per_second']:.0f} |",
                flush=True,
            )


def train(family: str, sizes: dict[str, Any], batch: int, tokens: int) -> dict[str, Any]:
    """Train a few steps with random weights and rows.

    Args:
        family: `Gemma` or `Gemma3`.
        sizes: Arguments of KerasHub's backbone.
        batch: Rows of a batch.
        tokens: Tokens of a row.

    Returns:
        `parameters`, `device`, `tensors_gib` (NaN where TensorFlow does not count them),
        `process_gib`, `tokens_per_second`, and the `losses`.
    """
    import tensorflow as tf

    from models import data
    from models.hparams import TrainHParams
    from models.training.loop import fit
    from models.training.lora import enable_lora

    gpus = tf.config.list_physical_devices("GPU")
    device = tf.config.experimental.get_device_details(gpus[0])["device_name"] if gpus else "CPU"
    model = _random_model(family, sizes)
    parameters = model.backbone.count_params()
    hparams = TrainHParams(
        preset="-", lora_rank=_RANK, batch_size=batch, epochs=1, exports=(), keep_best=False
    )
    enable_lora(model, hparams)
    rng = np.random.default_rng(0)
    ids = rng.integers(0, sizes["vocabulary_size"], (_STEPS * batch, tokens + 1))
    rows = [data.TokenizedRow(tuple(row), tokens - tokens // 4) for row in ids.tolist()]
    facts = fit(model, rows, (), hparams)
    try:
        peak = tf.config.experimental.get_memory_info("GPU:0" if gpus else "CPU:0")["peak"]
    except ValueError:  # without oneDNN, whose allocator counts: on processors that are older
        peak = math.nan
    return {
        "parameters": parameters,
        "device": device,
        "tensors_gib": peak / 2**30,
        "process_gib": shared.resident_gib("VmHWM"),
        "tokens_per_second": facts["tokens_per_second"],
        "losses": facts["losses"],
    }


def _random_model(family: str, sizes: dict[str, Any]) -> Any:
    import keras_hub

    from models.tensorflow_patches.in_place_loading import in_place_loading
    from models.tensorflow_patches.packed_output_table import untranspose_output_head

    rng = np.random.default_rng(0)
    with in_place_loading():
        backbone = getattr(keras_hub.models, f"{family}Backbone")(**sizes, dtype="bfloat16")
        for variable in backbone.weights:
            # A million numbers over and over: to draw billions takes longer than the training.
            drawn = rng.normal(0, 0.02, 2**20).astype(variable.dtype)
            n_numbers = int(np.prod(variable.shape))
            variable.assign(np.resize(drawn, n_numbers).reshape(variable.shape))
    untranspose_output_head(backbone.token_embedding)
    return getattr(keras_hub.models, f"{family}CausalLM")(backbone=backbone, preprocessor=None)


if __name__ == "__main__":
    main()
