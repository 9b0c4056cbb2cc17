"""A SentencePiece tokenizer as the `tokenizer.json` that transformers, vLLM and TGI read."""

from collections.abc import Sequence
from pathlib import Path

from sentencepiece import sentencepiece_model_pb2
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

# Marked as special, so that text is decoded without them, as in Google's own checkpoints.
_TURN_MARKERS = frozenset({"<start_of_turn>", "<end_of_turn>"})
_SPACE = "\u2581"  # how SentencePiece writes a space


def write_fast_tokenizer(
    sentencepiece_model: Path, target: Path
) -> dict[str, dict[str, str | bool]]:
    """Write a SentencePiece tokenizer of byte pairs: byte fallback, one start token in front.

    Gemma's puts nothing before a text, those of Llama 2 and Mistral a space. Texts are split as by
    SentencePiece, except for runs of spaces longer than the longest piece of spaces where such
    pieces are user-defined (31 in Gemma's vocabulary): merging pairs halves them, as in Google's
    own checkpoints.

    Without the file, transformers converts the SentencePiece model with further packages, or, on
    the Hub, finds that of the KerasHub preset in another folder and continues with an empty
    vocabulary.

    Returns:
        The pieces that are found in text before it is split into words, by their id, as in
        `added_tokens_decoder` of `tokenizer_config.json`.
    """
    proto = sentencepiece_model_pb2.ModelProto.FromString(sentencepiece_model.read_bytes())
    kinds = sentencepiece_model_pb2.ModelProto.SentencePiece
    vocabulary = {piece.piece: number for number, piece in enumerate(proto.pieces)}
    tokenizer = Tokenizer(
        models.BPE(
            vocab=vocabulary,
            merges=_merges(proto.pieces, kinds.NORMAL),
            unk_token=proto.pieces[proto.trainer_spec.unk_id].piece,
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    _set_spaces(tokenizer, has_prefix=proto.normalizer_spec.add_dummy_prefix)
    start = proto.pieces[proto.trainer_spec.bos_id].piece
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A",
        pair=f"{start} $A {start} $B",
        special_tokens=[(start, proto.trainer_spec.bos_id)],
    )
    added: dict[bool, list[AddedToken]] = {True: [], False: []}
    for piece in proto.pieces:
        special = piece.type in (kinds.CONTROL, kinds.UNKNOWN) or piece.piece in _TURN_MARKERS
        if special or (piece.type == kinds.USER_DEFINED and not _is_blank(piece.piece)):
            # Runs of spaces are found where the normalizer has written them as pieces.
            normalized = _SPACE in piece.piece
            added[special].append(AddedToken(piece.piece, normalized=normalized, special=special))
    tokenizer.add_special_tokens(added[True])
    tokenizer.add_tokens(added[False])
    tokenizer.save(str(target))
    names = ("content", "single_word", "lstrip", "rstrip", "normalized", "special")
    decoder = sorted(tokenizer.get_added_tokens_decoder().items())
    return {str(number): {n: getattr(token, n) for n in names} for number, token in decoder}


def _set_spaces(tokenizer: Tokenizer, *, has_prefix: bool) -> None:
    """Set how spaces are written, and whether one is put before each part of a text."""
    written = normalizers.Replace(" ", _SPACE)
    read = [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if has_prefix:
        # Not as `Metaspace` does: SentencePiece adds one to a text that begins with a space, too.
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(_SPACE), written])
        tokenizer.decoder = decoders.Sequence([*read, decoders.Strip(" ", 1, 0)])
        return
    tokenizer.normalizer = written
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence(read)


def _merges(
    pieces: Sequence[sentencepiece_model_pb2.ModelProto.SentencePiece], normal: int
) -> list[tuple[str, str]]:
    """Return the pairs of pieces that make a piece, those of the best score first.

    SentencePiece keeps scores of pieces, BPE in `tokenizers` ranks of pairs; of the pairs that make
    the same piece, the one of the older pieces ranks first.
    """
    numbers = {
        p.piece: number
        for number, p in enumerate(pieces)
        # Runs of spaces are written as runs of another character before they are looked up.
        if p.type == normal or _is_blank(p.piece)
    }
    ranked = []
    for piece, number in numbers.items():
        for cut in range(1, len(piece)):
            left, right = numbers.get(piece[:cut]), numbers.get(piece[cut:])
            if left is not None and right is not None:
                ranked.append((-pieces[number].score, number, left, right, cut))
    ranked.sort()
    return [
        (pieces[number].piece[:cut], pieces[number].piece[cut:]) for _, number, _, _, cut in ranked
    ]


def _is_blank(piece: str) -> bool:
    return not piece.strip(_SPACE)
