"""Converts the tables of a GGUF file's tokenizer to SentencePiece, and KerasHub's to them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sentencepiece import sentencepiece_model_pb2

if TYPE_CHECKING:
    import gguf
    from keras_hub.tokenizers import Tokenizer

# Token types of llama.cpp (`llama_token_type`).
_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5
_MISSING_SCORE = -1000.0  # llama.cpp's score of pieces that SentencePiece gives none


def read_field(reader: "gguf.GGUFReader", key: str, default: float | None = None) -> Any:
    """Read a field of a GGUF file; `default` where the file lacks it."""
    field = reader.fields.get(key)
    return default if field is None else field.contents()


def tokenizer_proto(fields: Mapping[str, Any]) -> bytes:
    """Rebuild the SentencePiece model that llama.cpp's tables were made from.

    Args:
        fields: From `gguf_header.read_fields`.
    """
    tokens = fields["tokenizer.ggml.tokens"]
    special = {
        name: fields[f"tokenizer.ggml.{name}_token_id"]
        for name in ("bos", "eos", "unknown", "padding")
    }
    model = sentencepiece_model_pb2.ModelProto()
    piece_type = sentencepiece_model_pb2.ModelProto.SentencePiece
    rows = zip(
        tokens,
        fields["tokenizer.ggml.scores"],
        fields["tokenizer.ggml.token_type"],
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
    _describe(model, tokens, special, bool(fields.get("tokenizer.ggml.add_space_prefix")))
    return bytes(model.SerializeToString())


def _describe(
    model: sentencepiece_model_pb2.ModelProto,
    tokens: list[str],
    special: dict[str, int],
    space_prefix: bool,
) -> None:
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


def write_tokenizer(
    writer: "gguf.GGUFWriter",
    tokenizer: "Tokenizer",
    turn_end: int,
    vocabulary_size: int,
) -> None:
    """Write a tokenizer's tables, as llama.cpp reads them.

    Args:
        writer: Of the GGUF file.
        tokenizer: A KerasHub tokenizer, of SentencePiece or of byte pairs.
        turn_end: The token that ends a turn.
        vocabulary_size: Rows of the embeddings, at least as many as the tokenizer has tokens.
    """
    if getattr(tokenizer, "proto", None) is None:
        tokens, types = _write_byte_pairs(writer, tokenizer)
    else:
        tokens, types = _write_pieces(writer, tokenizer, vocabulary_size)
    n_missing = vocabulary_size - len(tokens)
    writer.add_token_list([*tokens, *(f"[PAD{i}]" for i in range(n_missing))])
    types[turn_end] = _CONTROL
    writer.add_token_types([*types, *[_UNUSED] * n_missing])
    writer.add_bos_token_id(int(tokenizer.start_token_id))
    writer.add_eos_token_id(int(tokenizer.end_token_id))
    writer.add_eot_token_id(turn_end)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)


def _write_pieces(
    writer: "gguf.GGUFWriter", tokenizer: "Tokenizer", vocabulary_size: int
) -> tuple[list[str], list[int]]:
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(tokenizer.proto)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    scores = [piece.score for piece in model.pieces]
    writer.add_token_scores([*scores, *[_MISSING_SCORE] * (vocabulary_size - len(scores))])
    writer.add_unk_token_id(model.trainer_spec.unk_id)
    if model.trainer_spec.pad_id >= 0:
        writer.add_pad_token_id(model.trainer_spec.pad_id)
    writer.add_add_space_prefix(model.normalizer_spec.add_dummy_prefix)
    # SentencePiece numbers the types of pieces as llama.cpp does.
    return [piece.piece for piece in model.pieces], [int(piece.type) for piece in model.pieces]


def _write_byte_pairs(
    writer: "gguf.GGUFWriter", tokenizer: "Tokenizer"
) -> tuple[list[str], list[int]]:
    special = set(tokenizer.special_tokens)
    tokens = tokenizer.get_vocabulary()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_merges(list(tokenizer.merges))
    return tokens, [_CONTROL if token in special else _NORMAL for token in tokens]
