"""The random two-layer Gemma written as a GGUF file, in llama.cpp's layout."""

import gguf
import numpy as np
import sentencepiece

SLIDING_WINDOW = 512


def write_gguf(model, path, *, architecture="gemma3", change=lambda tensors, fields: None):
    """Writes a KerasHub Gemma 3 as GGUF.

    Args:
        model: The model.
        path: The file to write.
        architecture: What the file says that it holds.
        change: Called with the tensors and the fields before they are written, to damage them.
    """
    tensors, fields = _tensors(model.backbone), _fields(model.backbone)
    change(tensors, fields)
    writer = gguf.GGUFWriter(str(path), architecture)
    for name, value in fields.items():
        add = writer.add_uint32 if isinstance(value, int) else writer.add_float32
        add(f"{architecture}.{name}", value)
    _add_tokenizer(writer, model.preprocessor.tokenizer)
    for name, values in tensors.items():
        writer.add_tensor(name, np.ascontiguousarray(values, "float32"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _fields(backbone):
    return {
        "block_count": backbone.num_layers,
        "attention.head_count": backbone.num_query_heads,
        "attention.head_count_kv": backbone.num_key_value_heads,
        "embedding_length": backbone.hidden_dim,
        "feed_forward_length": backbone.intermediate_dim,
        "attention.key_length": backbone.head_dim,
        "attention.sliding_window": SLIDING_WINDOW,
        "attention.layer_norm_rms_epsilon": 1e-6,
    }


def _tensors(backbone):
    tensors = {
        "token_embd.weight": np.asarray(backbone.token_embedding.embeddings),
        "output_norm.weight": _norm(backbone.layer_norm),
    }
    for index, layer in enumerate(backbone.transformer_layers):
        attention = layer.attention
        values = {
            "attn_norm": _norm(layer.pre_attention_norm),
            "post_attention_norm": _norm(layer.post_attention_norm),
            "ffn_norm": _norm(layer.pre_ffw_norm),
            "post_ffw_norm": _norm(layer.post_ffw_norm),
            "attn_q_norm": _norm(attention.query_norm),
            "attn_k_norm": _norm(attention.key_norm),
            "attn_q": _heads_first(attention.query_dense),
            "attn_k": _heads_first(attention.key_dense),
            "attn_v": _heads_first(attention.value_dense),
            "attn_output": _heads_last(attention.output_dense),
            "ffn_gate": np.asarray(layer.gating_ffw.kernel).T,
            "ffn_up": np.asarray(layer.gating_ffw_2.kernel).T,
            "ffn_down": np.asarray(layer.ffw_linear.kernel).T,
        }
        tensors |= {f"blk.{index}.{name}.weight": value for name, value in values.items()}
    return tensors


def _norm(layer):
    return 1.0 + np.asarray(layer.scale)


def _heads_first(dense):
    """`(heads, model, head_dim)` to the rows of a matrix from model to all heads."""
    kernel = np.asarray(dense.kernel)
    return kernel.transpose(0, 2, 1).reshape(-1, kernel.shape[1])


def _heads_last(dense):
    """`(heads, head_dim, model)` to the rows of a matrix from all heads to model."""
    kernel = np.asarray(dense.kernel)
    return kernel.reshape(-1, kernel.shape[2]).T


def _add_tokenizer(writer, tokenizer):
    pieces = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.proto)
    ids = range(pieces.vocab_size())
    writer.add_tokenizer_model("llama")
    writer.add_token_list([pieces.id_to_piece(i) for i in ids])
    writer.add_token_scores([pieces.get_score(i) for i in ids])
    writer.add_token_types([_type(pieces, i) for i in ids])
    writer.add_bos_token_id(pieces.bos_id())
    writer.add_eos_token_id(pieces.eos_id())
    writer.add_unk_token_id(pieces.unk_id())
    writer.add_pad_token_id(pieces.pad_id())
    writer.add_add_space_prefix(False)


def _type(pieces, index):
    if pieces.is_unknown(index):
        return gguf.TokenType.UNKNOWN
    if pieces.is_control(index):
        return gguf.TokenType.CONTROL
    if pieces.is_byte(index):
        return gguf.TokenType.BYTE
    # The processor does not tell user-defined pieces from others.
    markers = ("<start_of_turn>", "<end_of_turn>", "\n")
    is_marker = pieces.id_to_piece(index) in markers
    return gguf.TokenType.USER_DEFINED if is_marker else gguf.TokenType.NORMAL
