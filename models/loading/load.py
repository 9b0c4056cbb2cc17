"""Loads a causal language model into KerasHub."""

import contextlib
import functools
from pathlib import Path

import keras
import keras_hub

from core.base_model import GGUF_PREFIX, PACKAGED, RANDOM_PREFIX
from core.errors import ModelError, ModelOutageError
from core.optimizations import LoadingOptimizations
from models.backend import accelerators_have_bfloat16, has_accelerator
from models.loading import gguf, tiny
from models.loading.outages import is_outage
from models.loading.preset_folder import check_preset_folder
from models.tensorflow_patches.in_place_loading import collect_new_objects_only, in_place_loading
from models.tensorflow_patches.lora_forward import dense_layers
from models.tensorflow_patches.packed_output_table import untranspose_output_head

ALL_ON = LoadingOptimizations()
_FAST_BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16")


def resolve_preset(spec: str, cache_dir: str) -> str:
    """Resolve a preset of the configuration to what `from_preset` takes; convert weights if needed.

    Args:
        spec: See `TrainHParams.preset`.
        cache_dir: Folder for converted presets.

    Returns:
        A local folder, a built-in name, or an `hf://` or `kaggle://` handle.

    Raises:
        ModelError: The weights are missing or damaged, or the spec is of no known form.
    """
    if spec == PACKAGED:
        return gguf.packaged_preset(cache_dir)
    names = tiny.names()
    if spec.startswith(RANDOM_PREFIX) and spec.removeprefix(RANDOM_PREFIX) in names:
        return tiny.make_preset(cache_dir, spec.removeprefix(RANDOM_PREFIX))
    if spec.startswith(GGUF_PREFIX):
        return gguf.convert_file(spec.removeprefix(GGUF_PREFIX), cache_dir)
    if spec.startswith(("packaged:", RANDOM_PREFIX)):
        known = (PACKAGED, *(f"{RANDOM_PREFIX}{name}" for name in names))
        raise ModelError(f"There is no preset {spec!r}. Choose one of {', '.join(known)}.")
    return spec


def resolve_dtype(dtype: str) -> str:
    """Resolve `auto` to the faster of bfloat16 and float32 on this machine."""
    if dtype != "auto":
        return dtype
    is_fast = accelerators_have_bfloat16() if has_accelerator() else _cpu_is_fast_at_bfloat16()
    return "bfloat16" if is_fast else "float32"


@functools.cache
def _cpu_is_fast_at_bfloat16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return any(flag in flags for flag in _FAST_BFLOAT16_FLAGS)


def load_model(
    preset: str,
    dtype: str,
    quantization: str = "none",
    optimizations: LoadingOptimizations = ALL_ON,
) -> keras_hub.models.CausalLM:
    """Load the causal language model of a preset, with its preprocessor.

    Args:
        preset: From `resolve_preset`.
        dtype: `float32`, `bfloat16`, or `mixed_bfloat16`: float32 weights, computed with bfloat16.
        quantization: `int8` turns the projections' weights into 8 bits.
        optimizations: `in_place_loading` and `untransposed_output_head` are used.

    Raises:
        ModelError: KerasHub cannot load the preset.
        ModelOutageError: It could not be downloaded; trying again may help.
    """
    check_preset_folder(preset)
    is_in_place, unchanged = optimizations.in_place_loading, contextlib.nullcontext
    with collect_new_objects_only() if is_in_place else unchanged():
        try:
            with in_place_loading() if is_in_place else unchanged():
                model = _from_preset(preset, dtype)
        except Exception as error:
            if is_outage(error):
                raise ModelOutageError(
                    f"The preset {preset!r} could not be downloaded ({type(error).__name__}: "
                    f"{error}). Check the network, and run the same command again."
                ) from error
            raise ModelError(
                f"The preset {preset!r} cannot be loaded ({type(error).__name__}: {error}). Give a "
                "folder with a KerasHub preset, a built-in name, hf://… or kaggle://…; Gemma on "
                "Kaggle and on the Hub needs its license accepted and a login."
            ) from error
        if quantization != "none":
            # The embeddings stay as they are: no gradient passes through the logits of 8 bits.
            for layer in dense_layers(model.backbone):
                layer.quantize(quantization)
    if optimizations.untransposed_output_head:
        untranspose_output_head(model.backbone.token_embedding)
    return model


def _from_preset(preset: str, dtype: str) -> keras_hub.models.CausalLM:
    config = Path(preset) / "config.json"
    if not config.is_file() or '"DTypePolicyMap"' not in config.read_text(encoding="utf-8"):
        return keras_hub.models.CausalLM.from_preset(preset, dtype=dtype)
    # It is quantized; with a dtype, KerasHub forgets which layers are.
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        return keras_hub.models.CausalLM.from_preset(preset)
    finally:
        keras.config.set_dtype_policy(policy)
