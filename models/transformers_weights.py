"""Weights and configuration of a KerasHub model in the names and layouts of transformers.

KerasHub's exporter has Gemma 3 and Mistral. Its Gemma has no architecture, no Gemma 2, and one
key-value head only; its Gemma 3 forgets the scaling of the rotary embedding; it has no Llama.
"""

from typing import Any

from keras import ops

from models.errors import ModelError

Weights = dict[str, Any]

_FAMILIES = (
    "GemmaBackbone",
    "Gemma3Backbone",
    "MistralBackbone",
    "LlamaBackbone",
    "Llama3Backbone",
)


def check_family(backbone: Any, name: str) -> None:
    """Raise unless a backbone's weights can be written.

    Args:
        backbone: A KerasHub backbone.
        name: The export that is wanted.

    Raises:
        ModelError: They cannot.
    """
    family = type(backbone).__name__
    if family not in _FAMILIES or getattr(backbone, "vision_encoder", None) is not None:
        raise ModelError(
            f"There is no export to {name} for {family}. Leave {name} out of training.exports, or "
            "choose a text model of Gemma, Mistral or Llama."
        )


def checkpoint(backbone: Any) -> tuple[dict[str, Any], Weights]:
    """What `config.json` and `model.safetensors` hold.

    Args:
        backbone: A KerasHub backbone without LoRA (the factors would be left out) that
            `check_family` lets pass.

    Returns:
        The configuration, and tensors of the backend by name.
    """
    from keras_hub.src.utils.transformers.export import hf_exporter

    family = type(backbone).__name__
    if family == "GemmaBackbone":
        return _gemma_config(backbone), _gemma_weights(backbone)
    if family in ("LlamaBackbone", "Llama3Backbone"):
        weights = hf_exporter.get_mistral_weights_map(
            backbone, include_lm_head=not backbone.tie_word_embeddings
        )
        return _llama_config(backbone), weights
    config = hf_exporter.MODEL_CONFIGS[family](backbone)
    weights = hf_exporter.MODEL_EXPORTERS[family](backbone, include_lm_head=True)
    if family == "Gemma3Backbone":
        config["tie_word_embeddings"] = True
        if backbone.global_rope_scaling_factor != 1:
            factor = float(backbone.global_rope_scaling_factor)
            config["rope_scaling"] = {"rope_type": "linear", "factor": factor}
    return config, weights


def _llama_config(backbone: Any) -> dict[str, Any]:
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": backbone.vocabulary_size,
        "num_hidden_layers": backbone.num_layers,
        "num_attention_heads": backbone.num_query_heads,
        "num_key_value_heads": backbone.num_key_value_heads,
        "hidden_size": backbone.hidden_dim,
        "intermediate_size": backbone.intermediate_dim,
        "head_dim": backbone.hidden_dim // backbone.num_query_heads,
        "hidden_act": "silu",
        "max_position_embeddings": backbone.rope_pretraining_sequence_length or 4096,
        "rms_norm_eps": backbone.layer_norm_epsilon,
        "rope_theta": float(backbone.rope_max_wavelength),
        "tie_word_embeddings": backbone.tie_word_embeddings,
        "torch_dtype": backbone.dtype_policy.variable_dtype,
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
    return config


def _gemma_config(backbone: Any) -> dict[str, Any]:
    config = {
        "architectures": ["GemmaForCausalLM"],
        "model_type": "gemma",
        "vocab_size": backbone.vocabulary_size,
        "num_hidden_layers": backbone.num_layers,
        "num_attention_heads": backbone.num_query_heads,
        "num_key_value_heads": backbone.num_key_value_heads,
        "hidden_size": backbone.hidden_dim,
        "intermediate_size": backbone.intermediate_dim // 2,
        "head_dim": backbone.head_dim,
        "hidden_activation": "gelu_pytorch_tanh",
        "max_position_embeddings": 8192,
        "rms_norm_eps": backbone.layer_norm_epsilon,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "pad_token_id": 0,
        "torch_dtype": backbone.dtype_policy.variable_dtype,
    }
    if not _is_gemma2(backbone):
        return config
    heads_share = backbone.hidden_dim // backbone.num_query_heads
    return config | {
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


def _gemma_weights(backbone: Any, include_lm_head: bool = False) -> dict[str, Any]:
    weights = {
        "model.embed_tokens.weight": ops.convert_to_tensor(backbone.token_embedding.embeddings),
        "model.norm.weight": ops.convert_to_tensor(backbone.layer_norm.scale),
    }
    for number, block in enumerate(backbone.transformer_layers):
        of_block = _gemma_attention(block.attention)
        for name, layer in (
            ("gate", block.gating_ffw),
            ("up", block.gating_ffw_2),
            ("down", block.ffw_linear),
        ):
            of_block[f"mlp.{name}_proj"] = ops.transpose(layer.kernel)
        norms = {"input": block.pre_attention_norm, "post_attention": block.pre_ffw_norm}
        if _is_gemma2(backbone):
            norms["post_attention"] = block.post_attention_norm
            norms["pre_feedforward"] = block.pre_ffw_norm
            norms["post_feedforward"] = block.post_ffw_norm
        for name, norm in norms.items():
            of_block[f"{name}_layernorm"] = ops.convert_to_tensor(norm.scale)
        weights |= {f"model.layers.{number}.{k}.weight": v for k, v in of_block.items()}
    return weights


def _gemma_attention(attention: Any) -> dict[str, Any]:
    projections = {}
    for name, layer in (
        ("q", attention.query_dense),
        ("k", attention.key_dense),
        ("v", attention.value_dense),
    ):
        heads, hidden, width = layer.kernel.shape
        kernel = ops.transpose(layer.kernel, (0, 2, 1))
        projections[f"self_attn.{name}_proj"] = ops.reshape(kernel, (heads * width, hidden))
    heads, width, hidden = attention.output_dense.kernel.shape
    kernel = ops.reshape(attention.output_dense.kernel, (heads * width, hidden))
    projections["self_attn.o_proj"] = ops.transpose(kernel)
    return projections


def _as_float(value: float | None) -> float | None:
    return None if value is None else float(value)


def _is_gemma2(backbone: Any) -> bool:
    return bool(backbone.use_post_attention_norm)
