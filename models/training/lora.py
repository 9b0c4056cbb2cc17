"""LoRA on a KerasHub model: which projections, how strong, with dropout.

Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models",
https://arxiv.org/abs/2106.09685.
"""

import keras
from keras.layers import Layer
from keras_hub.models import Backbone, CausalLM

from core.errors import ModelError
from models.hparams import TrainHParams
from models.tensorflow_patches.lora_forward import dense_layers

_TARGETS = {
    "query-value": {"query", "value"},
    "attention": {"query", "value", "key", "attention_output"},
}


def enable_lora(model: CausalLM, hparams: TrainHParams) -> None:
    """Freeze a model and add float32 LoRA factors to some of its projections.

    Args:
        model: From `load_model`; the base weights keep their precision.
        hparams: The `lora_*` hyperparameters are used.

    Raises:
        ModelError: The model has no such projections, or a trainable weight is not float32.
    """
    backbone, targets = model.backbone, hparams.lora_targets
    layers = dense_layers(backbone)
    if targets != "all-linear":
        layers = [layer for layer in layers if layer.name in _TARGETS[targets]]
    if not layers:
        raise ModelError(
            f"{type(backbone).__name__} has no projections that training.lora_targets="
            f"{targets} names. Choose a Gemma, Mistral, Llama or Qwen model."
        )
    if backbone.dtype_policy.variable_dtype == "bfloat16":
        for layer in layers:
            if layer.quantization_mode is None:
                layer.dtype_policy = keras.DTypePolicy("mixed_bfloat16")
    backbone.enable_lora(hparams.lora_rank, sorted({layer.name for layer in layers}))
    for layer in layers:
        layer.lora_alpha = hparams.lora_alpha or hparams.lora_rank
        if layer.bias is not None:  # as Qwen's, which KerasHub would train, and not save
            layer.bias.trainable = False
    check_trainable(backbone)


def check_trainable(backbone: Backbone) -> None:
    """Raise unless all trainable weights are float32.

    Adam's beta_2 of 0.999 is 1 in bfloat16: updates are zero and training silently does nothing.

    Raises:
        ModelError: A trainable weight is not float32.
    """
    wrong = [v.path for v in backbone.trainable_variables if v.dtype != "float32"]
    if wrong:
        raise ModelError(
            f"{len(wrong)} trainable weights are not float32, for example {wrong[0]}. Set "
            "training.dtype=float32."
        )


def is_lora_enabled(model: CausalLM) -> bool:
    """Return whether a causal language model has LoRA factors."""
    return bool(_lora_layers(model))


def save_adapter(model: CausalLM, path: str) -> None:
    """Write the LoRA factors so that KerasHub's `load_lora_weights` gets their full effect.

    The file has no place for alpha: the second factor is written times `alpha / rank`.
    """
    trained = [(layer, layer.lora_kernel_b.numpy()) for layer in _lora_layers(model)]
    try:
        for layer, kernel in trained:
            layer.lora_kernel_b.assign(kernel * (layer.lora_alpha / layer.lora_rank))
        model.backbone.save_lora_weights(path)
    finally:
        for layer, kernel in trained:
            layer.lora_kernel_b.assign(kernel)


def load_adapter(model: CausalLM, path: str) -> None:
    """Read the LoRA factors that `save_adapter` wrote, to train them further.

    Args:
        model: One with LoRA of the same rank and targets; alpha may differ.
        path: Local file that ends in `.lora.h5`.
    """
    model.backbone.load_lora_weights(path)
    for layer in _lora_layers(model):
        factor = layer.lora_kernel_b
        factor.assign(factor * (layer.lora_rank / layer.lora_alpha))


def _lora_layers(model: CausalLM) -> list[Layer]:
    return [layer for layer in dense_layers(model.backbone) if layer.lora_enabled]
