"""A GGUF file for llama.cpp and Ollama, from a KerasHub model.

Names and layouts are those of llama.cpp's own converter
(https://github.com/ggml-org/llama.cpp/blob/master/convert_hf_to_gguf.py), the file format is
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import gguf
import keras
import numpy as np
from keras_hub.models import CausalLM

from core.family import ChatTemplate, GgufFormat
from models import data
from models.export.chat_templates import jinja_chat_template, ollama_template
from models.export.hf_state_dict import Config, HFModel, hf_state_dict
from models.export.support import family_with
from models.loading.gguf_tokenizer import write_tokenizer

GGUF_FILE = "model.gguf"
MODELFILE = "Modelfile"

GgufType = Literal["f32", "bf16", "q8_0"]

_FILE_TYPES = {
    "f32": gguf.LlamaFileType.ALL_F32,
    "bf16": gguf.LlamaFileType.MOSTLY_BF16,
    "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
}
# llama.cpp reads these keys of an architecture; those that a configuration lacks are left out.
_FLOATS = {
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
    "rope_theta": "rope_freq_base",
}


def export_gguf(
    model: CausalLM,
    folder: Path,
    template: ChatTemplate,
    *,
    gguf_type: GgufType,
    sequence_length: int,
) -> None:
    """Write `model.gguf` with tokenizer and chat template, and a `Modelfile` for Ollama.

    Args:
        model: One without LoRA: the factors would be left out.
        folder: Local folder.
        template: How the model is prompted.
        gguf_type: Precision of the matrices; vectors are float32.
        sequence_length: Maximum tokens per row of the training.

    Raises:
        ModelError: There is no GGUF export for the model's family.
    """
    family = family_with(model.backbone, "gguf").gguf
    assert family is not None
    converted = hf_state_dict(model.backbone)
    config = converted.config
    architecture = family.architectures[config["model_type"]]
    folder.mkdir(parents=True, exist_ok=True)
    # With a temporary file no tensor stays in memory.
    writer = gguf.GGUFWriter(str(folder / GGUF_FILE), architecture, use_temp_file=True)
    _write_fields(writer, config, family)
    writer.add_file_type(_FILE_TYPES[gguf_type])
    tokenizer = model.preprocessor.tokenizer
    write_tokenizer(writer, tokenizer, data.end_token_id(tokenizer, template), config["vocab_size"])
    writer.add_chat_template(jinja_chat_template(template, with_start=False))
    for name, tensor in _tensors(architecture, converted, family):
        _add_tensor(writer, name, tensor, gguf_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    text = modelfile(template, sequence_length)
    (folder / MODELFILE).write_text(text, encoding="utf-8")


def modelfile(template: ChatTemplate, sequence_length: int) -> str:
    """Return what `ollama create` reads, in the format of https://docs.ollama.com/modelfile."""
    return (
        f"FROM ./{GGUF_FILE}\n"
        f'TEMPLATE """{ollama_template(template)}"""\n'
        f"PARAMETER stop {json.dumps(template.end)}\n"
        "PARAMETER temperature 0\n"
        f"PARAMETER num_ctx {2 * sequence_length}\n"
        f"PARAMETER num_predict {sequence_length}\n"
    )


def _write_fields(writer: gguf.GGUFWriter, config: Config, family: GgufFormat) -> None:
    head_dim = config["head_dim"]
    writer.add_context_length(config.get("max_position_embeddings", 131072))
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_vocab_size(config["vocab_size"])
    for name, field in _FLOATS.items():
        if config.get(name) is not None:
            getattr(writer, f"add_{field}")(float(config[name]))
    if family.sliding_window and config.get("sliding_window"):
        writer.add_sliding_window(config["sliding_window"])
    scaling = config.get("rope_scaling")
    if scaling and scaling["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(scaling["factor"])


def _tensors(
    architecture: str, model: HFModel, family: GgufFormat
) -> Iterator[tuple[str, data.Array]]:
    config = model.config
    by_name = {name: arch for arch, name in gguf.MODEL_ARCH_NAMES.items()}
    names = gguf.get_tensor_name_map(by_name[architecture], config["num_hidden_layers"])
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    scaling = config.get("rope_scaling") or {}
    if scaling.get("rope_type") == "llama3":
        yield "rope_freqs.weight", llama3_rope_factors(config)
    for name, tensor in model.weights.items():
        if config["tie_word_embeddings"] and name == "lm_head.weight":
            continue
        tensor = keras.ops.cast(keras.ops.convert_to_tensor(tensor), "float32")  # noqa: PLW2901
        values = np.asarray(keras.ops.convert_to_numpy(tensor))
        projection = name.split(".")[-2]
        if projection.endswith("norm"):
            values = values + family.norm_offset
        if family.pairs_rotary and projection in heads:
            values = _interleaved(values, heads[projection])
        yield names.get_name(name, try_suffixes=(".weight",)), values


def _interleaved(matrix: data.Array, heads: int) -> data.Array:
    """Order the rows of each head as llama.cpp does: rotary pairs next to each other."""
    rows, columns = matrix.shape
    halves = matrix.reshape(heads, 2, rows // heads // 2, columns)
    return halves.swapaxes(1, 2).reshape(rows, columns)


def llama3_rope_factors(config: Config) -> data.Array:
    """Return the divisors of the rotary embedding's frequencies in Llama 3.1 and later.

    Source: `_compute_llama3_parameters` of transformers' `modeling_rope_utils.py`.

    Args:
        config: Of the checkpoint, with `rope_scaling`, `rope_theta` and `head_dim`.

    Returns:
        Float32 of shape `(head_dim / 2,)`.
    """
    scaling, head_dim = config["rope_scaling"], config["head_dim"]
    wavelengths = 2 * np.pi * config["rope_theta"] ** (np.arange(0, head_dim, 2) / head_dim)
    length = scaling["original_max_position_embeddings"]
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    smooth = np.clip((length / wavelengths - low) / (high - low), 0, 1)
    return (1 / (smooth + (1 - smooth) / scaling["factor"])).astype("float32")


def _add_tensor(
    writer: gguf.GGUFWriter, name: str, values: data.Array, gguf_type: GgufType
) -> None:
    kind = gguf.GGMLQuantizationType[gguf_type.upper()]
    if values.ndim == 1:
        kind = gguf.GGMLQuantizationType.F32
    elif values.shape[-1] % gguf.GGML_QUANT_SIZES[kind][0]:
        kind = gguf.GGMLQuantizationType.F16  # rows that are no whole number of blocks
    writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
