"""Loading a causal language model in KerasHub."""

import functools
from pathlib import Path
from typing import Any

from models import gguf, tiny
from models.backend import has_accelerator
from models.errors import ModelError

_PACKAGED = "packaged:gemma3-270m"
_GGUF = "gguf:"
_RANDOM = "random:"
_FAST_BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16")


def resolve_preset(spec: str, cache_dir: str) -> str:
    """What `from_preset` takes for a preset of the configuration; converts weights where needed.

    Args:
        spec: See `TrainHParams.preset`.
        cache_dir: Folder for converted presets.

    Returns:
        A local folder, a built-in name, or an `hf://` or `kaggle://` handle.

    Raises:
        ModelError: The weights are missing or damaged, or the spec is of no known form.
    """
    if spec == _PACKAGED:
        return gguf.packaged_preset(cache_dir)
    if spec.removeprefix(_RANDOM) in tiny.NAMES:
        return tiny.make_preset(cache_dir, spec.removeprefix(_RANDOM))
    if spec.startswith(_GGUF):
        return gguf.convert_file(spec.removeprefix(_GGUF), cache_dir)
    if spec.startswith(("packaged:", "random:")):
        known = (_PACKAGED, *(f"{_RANDOM}{name}" for name in tiny.NAMES))
        raise ModelError(f"There is no preset {spec!r}. There are {', '.join(known)}.")
    return spec


def resolve_dtype(dtype: str) -> str:
    """`auto` to the faster of bfloat16 and float32 on this machine; others stay as they are."""
    if dtype != "auto":
        return dtype
    return "bfloat16" if has_accelerator() or _cpu_is_fast_at_bfloat16() else "float32"


@functools.cache
def _cpu_is_fast_at_bfloat16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return any(flag in flags for flag in _FAST_BFLOAT16_FLAGS)


def load_model(preset: str, dtype: str, quantization: str = "none") -> Any:
    """The causal language model of a preset.

    Args:
        preset: What `resolve_preset` returned.
        dtype: `float32`, `bfloat16`, or `mixed_bfloat16`: float32 weights, computed with bfloat16.
        quantization: `int8` turns the projections' weights into 8 bits.

    Returns:
        A `keras_hub.models.CausalLM` with its preprocessor.

    Raises:
        ModelError: KerasHub cannot load the preset.
    """
    from models.loading import lean_loading, quick_collections
    from models.output_head import use_fast_output_head
    from models.projections import dense_layers

    with quick_collections():
        try:
            with lean_loading():
                model = _from_preset(preset, dtype)
        except Exception as error:
            raise ModelError(
                f"The preset {preset!r} cannot be loaded ({type(error).__name__}: {error}). Give a "
                "folder with a KerasHub preset, a built-in name, hf://… or kaggle://…; Gemma on "
                "Kaggle and on the Hub needs its license accepted and a login."
            ) from error
        if quantization != "none":
            # The embeddings stay as they are: no gradient passes through the logits of 8 bits.
            for layer in dense_layers(model.backbone):
                layer.quantize(quantization)
    use_fast_output_head(model.backbone.token_embedding)
    return model


def _from_preset(preset: str, dtype: str) -> Any:
    import keras
    import keras_hub

    if not _is_quantized(preset):
        return keras_hub.models.CausalLM.from_preset(preset, dtype=dtype)
    # With a dtype, KerasHub forgets which layers are quantized.
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        return keras_hub.models.CausalLM.from_preset(preset)
    finally:
        keras.config.set_dtype_policy(policy)


def _is_quantized(preset: str) -> bool:
    config = Path(preset) / "config.json"
    return config.is_file() and '"DTypePolicyMap"' in config.read_text(encoding="utf-8")
