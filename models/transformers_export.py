"""A checkpoint that Hugging Face transformers loads, from a KerasHub model."""

import json
from pathlib import Path
from typing import Any

from keras import ops

from models import data
from models.errors import ModelError
from models.features import TurnTemplate


def export_transformers(model: Any, folder: Path, template: TurnTemplate) -> None:
    """Write weights, configuration, tokenizer and chat template.

    Args:
        model: A KerasHub causal language model without LoRA: KerasHub would leave the factors out.
        folder: Local folder.
        template: How the model is prompted.

    Raises:
        ModelError: KerasHub has no transformers export for the model's family.
    """
    from keras_hub.src.utils.transformers.export import hf_exporter

    # KerasHub's own has no architecture, no Gemma 2, and one key-value head only.
    hf_exporter.MODEL_CONFIGS["GemmaBackbone"] = _gemma_config
    hf_exporter.MODEL_EXPORTERS["GemmaBackbone"] = _gemma_weights
    try:
        model.export_to_transformers(str(folder))
    except (ValueError, NotImplementedError) as error:
        raise ModelError(
            f"KerasHub cannot write {type(model.backbone).__name__} for transformers ({error}). "
            "Set training.transformers_export=false."
        ) from error
    tokenizer = model.preprocessor.tokenizer
    start, end = int(tokenizer.start_token_id), int(tokenizer.end_token_id)
    # KerasHub writes ids for Gemma 3 that are not Gemma's.
    _update_json(folder / "config.json", bos_token_id=start, eos_token_id=end)
    turn_end = data.end_token_id(tokenizer, template)
    stops = [end] if turn_end == end else [end, turn_end]
    _update_json(folder / "generation_config.json", bos_token_id=start, eos_token_id=stops)
    _update_json(folder / "tokenizer_config.json", chat_template=chat_template(template))


def chat_template(template: TurnTemplate) -> str:
    """The Jinja template that transformers' `apply_chat_template` renders messages with."""
    prefix, suffix, end = (
        json.dumps(part) for part in (template.prefix, template.suffix, template.end)
    )
    return (
        "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
        "{{ " + prefix + " + message['content'] + " + suffix + " }}{% else %}"
        "{{ message['content'] + " + end + " }}{% endif %}{% endfor %}"
    )


def _update_json(path: Path, **values: Any) -> None:
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**known, **values}, indent=2), encoding="utf-8")


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
