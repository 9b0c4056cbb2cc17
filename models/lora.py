"""LoRA on a KerasHub model: which projections, how strong, with dropout.

Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models",
https://arxiv.org/abs/2106.09685.
"""

from typing import Any

from models.errors import ModelError
from models.hparams import TrainHParams
from models.projections import dense_layers

_QUERY_VALUE = frozenset({"query", "value"})
_ATTENTION = _QUERY_VALUE | {"key", "attention_output"}


def enable_lora(model: Any, hparams: TrainHParams) -> None:
    """Freeze a model and put float32 LoRA factors beside some of its projections.

    Args:
        model: What `gemma.load_model` returned; the base weights keep their precision.
        hparams: The `lora_*` hyperparameters are used.

    Raises:
        ModelError: The model has no such projections, or a trainable weight is not float32.
    """
    import keras

    backbone = model.backbone
    layers = _target_layers(backbone, hparams.lora_targets)
    if not layers:
        raise ModelError(
            f"{type(backbone).__name__} has no projections that training.lora_targets="
            f"{hparams.lora_targets} names. Choose a Gemma, Mistral or Llama model."
        )
    if backbone.dtype_policy.variable_dtype == "bfloat16":
        for layer in layers:
            if layer.quantization_mode is None:
                layer.dtype_policy = keras.DTypePolicy("mixed_bfloat16")
    backbone.enable_lora(hparams.lora_rank, sorted({layer.name for layer in layers}))
    for layer in layers:
        layer.lora_alpha = hparams.lora_alpha or hparams.lora_rank
    check_trainable(backbone)


def check_trainable(backbone: Any) -> None:
    """Raise unless all trainable weights are float32.

    Adam's beta_2 of 0.999 is 1 in bfloat16: updates are zero and training silently does nothing.

    Raises:
        ModelError: A trainable weight is not float32.
    """
    wrong = [v.path for v in backbone.trainable_variables if v.dtype != "float32"]
    if wrong:
        raise ModelError(
            f"{len(wrong)} trainable weights are not float32, {wrong[0]} for one. Set "
            "training.dtype=float32."
        )


def is_lora_enabled(model: Any) -> bool:
    """Whether a causal language model has LoRA factors."""
    return any(layer.lora_enabled for layer in dense_layers(model.backbone))


def save_adapter(model: Any, path: str) -> None:
    """Write the LoRA factors so that KerasHub's `load_lora_weights` gets their full effect.

    The file has no place for alpha: the second factor is written times `alpha / rank`.

    Args:
        model: A causal language model with LoRA enabled.
        path: Local file that ends in `.lora.h5`.
    """
    layers = [layer for layer in dense_layers(model.backbone) if layer.lora_enabled]
    trained = [(layer, layer.lora_kernel_b.numpy()) for layer in layers]
    try:
        for layer, kernel in trained:
            layer.lora_kernel_b.assign(kernel * (layer.lora_alpha / layer.lora_rank))
        model.backbone.save_lora_weights(path)
    finally:
        for layer, kernel in trained:
            layer.lora_kernel_b.assign(kernel)


def load_adapter(model: Any, path: str) -> None:
    """Read the LoRA factors that `save_adapter` wrote, for a training to go on with them.

    Args:
        model: A causal language model with LoRA of the same rank and targets; alpha may differ.
        path: Local file that ends in `.lora.h5`.
    """
    model.backbone.load_lora_weights(path)
    for layer in dense_layers(model.backbone):
        if layer.lora_enabled:
            factor = layer.lora_kernel_b
            factor.assign(factor * (layer.lora_rank / layer.lora_alpha))


def _target_layers(backbone: Any, targets: str) -> list[Any]:
    layers = dense_layers(backbone)
    if targets == "all-linear":
        return layers
    names = _QUERY_VALUE if targets == "query-value" else _ATTENTION
    return [layer for layer in layers if layer.name in names]
