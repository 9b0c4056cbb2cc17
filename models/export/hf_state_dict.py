"""Weights and configuration of a KerasHub model in the names and layouts of transformers.

KerasHub's exporter has Gemma 3 and Mistral. Its Gemma has no architecture, no Gemma 2, and one
key-value head only; its Gemma 3 loses the scaling of the rotary embedding; it has no Llama.

The table of families names a function of this module for each family.
"""

from typing import Any, NamedTuple

import tensorflow as tf
from keras import ops
from keras.layers import Layer
from keras_hub import models
from keras_hub.src.utils.transformers.export import hf_exporter

from models.export.support import family_with

Weights = dict[str, tf.Tensor]
Config = dict[str, Any]


class HFModel(NamedTuple):
    """The content of `config.json`, and tensors of the backend by name."""

    config: Config
    weights: Weights


def hf_state_dict(backbone: models.Backbone) -> HFModel:
    """Convert a backbone without LoRA: the factors would be left out.

    Raises:
        ModelError: The family has no export to transformers.
    """
    family = family_with(backbone, "transformers")
    assert family.transformers is not None
    model: HFModel = globals()[family.transformers.export](backbone)
    return model


def gemma3(backbone: models.Backbone) -> HFModel:
    """Convert a Gemma 3."""
    config = hf_exporter.get_gemma3_config(backbone) | {"tie_word_embeddings": True}
    if backbone.global_rope_scaling_factor != 1:
        factor = float(backbone.global_rope_scaling_factor)
        config["rope_scaling"] = {"rope_type": "linear", "factor": factor}
    return HFModel(config, hf_exporter.get_gemma3_weights_map(backbone, include_lm_head=True))


def mistral(backbone: models.Backbone) -> HFModel:
    """Convert a Mistral."""
    weights = hf_exporter.get_mistral_weights_map(backbone, include_lm_head=True)
    return HFModel(hf_exporter.get_mistral_config(backbone), weights)


def llama(backbone: models.Backbone) -> HFModel:
    """Convert a Llama of any generation; its weights are named as Mistral's."""
    weights = hf_exporter.get_mistral_weights_map(
        backbone, include_lm_head=not backbone.tie_word_embeddings
    )
    config = _config(backbone) | {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "intermediate_size": backbone.intermediate_dim,
        "head_dim": backbone.hidden_dim // backbone.num_query_heads,
        "hidden_act": "silu",
        "max_position_embeddings": backbone.rope_pretraining_sequence_length or 4096,
        "rope_theta": float(backbone.rope_max_wavelength),
        "tie_word_embeddings": backbone.tie_word_embeddings,
    }
    if backbone.rope_frequency_adjustment_factor is not None:
        config["rope_scaling"] = {
            "rope_type": "llama3",
            "factor": float(backbone.rope_frequency_adjustment_factor),
            "low_freq_factor": float(backbone.rope_low_freq_factor),
            "high_freq_factor": float(backbone.rope_high_freq_factor),
            "original_max_position_embeddings": backbone.rope_pretraining_sequence_length,
        }
        config["max_position_embeddings"] = 131072
    return HFModel(config, weights)


def gemma(backbone: models.Backbone) -> HFModel:
    """Convert a Gemma of the first or the second generation."""
    config = _config(backbone) | {
        "architectures": ["GemmaForCausalLM"],
        "model_type": "gemma",
        "intermediate_size": backbone.intermediate_dim // 2,
        "head_dim": backbone.head_dim,
        "hidden_activation": "gelu_pytorch_tanh",
        "max_position_embeddings": 8192,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "pad_token_id": 0,
    }
    if _is_gemma2(backbone):
        heads_share = backbone.hidden_dim // backbone.num_query_heads
        config |= {
            "architectures": ["Gemma2ForCausalLM"],
            "model_type": "gemma2",
            "query_pre_attn_scalar": backbone.head_dim
            if backbone.query_head_dim_normalize
            else heads_share,
            # transformers refuses whole numbers here
            "final_logit_softcapping": _as_float(backbone.final_logit_soft_cap),
            "attn_logit_softcapping": _as_float(backbone.attention_logit_soft_cap),
            "sliding_window": backbone.sliding_window_size,
        }
    weights = {
        "model.embed_tokens.weight": ops.convert_to_tensor(backbone.token_embedding.embeddings),
        "model.norm.weight": ops.convert_to_tensor(backbone.layer_norm.scale),
    }
    for number, block in enumerate(backbone.transformer_layers):
        of_block = _gemma_attention(block.attention)
        layers = {"gate": block.gating_ffw, "up": block.gating_ffw_2, "down": block.ffw_linear}
        for name, layer in layers.items():
            of_block[f"mlp.{name}_proj"] = ops.transpose(layer.kernel)
        norms = {"input": block.pre_attention_norm, "post_attention": block.pre_ffw_norm}
        if _is_gemma2(backbone):
            norms["post_attention"] = block.post_attention_norm
            norms["pre_feedforward"] = block.pre_ffw_norm
            norms["post_feedforward"] = block.post_ffw_norm
        for name, norm in norms.items():
            of_block[f"{name}_layernorm"] = ops.convert_to_tensor(norm.scale)
        weights |= {f"model.layers.{number}.{k}.weight": v for k, v in of_block.items()}
    return HFModel(config, weights)


def _config(backbone: models.Backbone) -> Config:
    return {
        "vocab_size": backbone.vocabulary_size,
        "num_hidden_layers": backbone.num_layers,
        "num_attention_heads": backbone.num_query_heads,
        "num_key_value_heads": backbone.num_key_value_heads,
        "hidden_size": backbone.hidden_dim,
        "rms_norm_eps": backbone.layer_norm_epsilon,
        "torch_dtype": backbone.dtype_policy.variable_dtype,
    }


def _gemma_attention(attention: Layer) -> Weights:
    projections = {}
    layers = {"q": attention.query_dense, "k": attention.key_dense, "v": attention.value_dense}
    for name, layer in layers.items():
        heads, hidden, width = layer.kernel.shape
        kernel = ops.transpose(layer.kernel, (0, 2, 1))
        projections[f"self_attn.{name}_proj"] = ops.reshape(kernel, (heads * width, hidden))
    heads, width, hidden = attention.output_dense.kernel.shape
    kernel = ops.reshape(attention.output_dense.kernel, (heads * width, hidden))
    projections["self_attn.o_proj"] = ops.transpose(kernel)
    return projections


def _as_float(value: float | None) -> float | None:
    return None if value is None else float(value)


def _is_gemma2(backbone: models.Backbone) -> bool:
    return bool(backbone.use_post_attention_norm)
