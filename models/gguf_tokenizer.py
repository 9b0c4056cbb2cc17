"""The tables of a GGUF file's tokenizer to a SentencePiece model."""

from typing import Any

# Token types of llama.cpp (`llama_token_type`).
_CONTROL, _USER_DEFINED = 3, 4
_MISSING_SCORE = -1000.0  # llama.cpp's score of pieces that SentencePiece gives none


def read_field(reader: Any, key: str, default: Any = None) -> Any:
    """The content of a GGUF file's field, or `default` where the file lacks it."""
    field = reader.fields.get(key)
    return default if field is None else field.contents()


def tokenizer_proto(reader: Any) -> bytes:
    """The SentencePiece model that llama.cpp's tables were made from."""
    from sentencepiece import sentencepiece_model_pb2

    tokens = read_field(reader, "tokenizer.ggml.tokens")
    special = {
        name: read_field(reader, f"tokenizer.ggml.{name}_token_id")
        for name in ("bos", "eos", "unknown", "padding")
    }
    model = sentencepiece_model_pb2.ModelProto()
    piece_type = sentencepiece_model_pb2.ModelProto.SentencePiece
    rows = zip(
        tokens,
        read_field(reader, "tokenizer.ggml.scores"),
        read_field(reader, "tokenizer.ggml.token_type"),
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
    _describe(model, tokens, special, bool(read_field(reader, "tokenizer.ggml.add_space_prefix")))
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
