"""Two-layer random models with real tokenizers, for tests: they memorize and know nothing."""

from pathlib import Path

import keras
from keras_hub import models
from keras_hub.tokenizers import Tokenizer

from core import families
from models.files import publish_folder
from models.loading.tiny_vocabulary import gemma_pieces, llama_pieces

_VERSION = 2
_HIDDEN = 96
_SEQUENCE_LENGTH = 256
_GEMMA = {"num_key_value_heads": 1, "head_dim": 24}
_GEMMA_NORMS = {
    "use_post_ffw_norm": True,
    "use_post_attention_norm": True,
    "use_sliding_window_attention": True,
    "sliding_window_size": 512,
}
_LLAMA = {"rope_max_wavelength": 10000, "num_key_value_heads": 2}
_SIZES = {
    "num_layers": 2,
    "num_query_heads": 4,
    "hidden_dim": _HIDDEN,
    "intermediate_dim": 2 * _HIDDEN,
    "dtype": "float32",
}


def names() -> dict[str, str]:
    """Return the names of the tiny models of all families, with the functions that build them."""
    return {name: builder for family in families.FAMILIES for name, builder in family.tiny.items()}


def make_preset(cache_dir: str, name: str = "gemma3-tiny") -> str:
    """Make the folder of a tiny preset at its first use; about a second.

    Args:
        cache_dir: Folder for converted presets.
        name: One of `names()`.

    Returns:
        Path of a KerasHub preset, the same weights on every call.
    """
    target = Path(cache_dir) / "presets" / f"{name}-v{_VERSION}"
    if target.is_dir():
        return str(target)
    keras.utils.set_random_seed(_VERSION)
    model = globals()[names()[name]]()
    with publish_folder(target) as folder:
        model.save_to_preset(str(folder))
    return str(target)


def gemma3() -> models.CausalLM:
    """Build a Gemma 3."""
    tokenizer = models.Gemma3Tokenizer(proto=gemma_pieces(), has_vision_tokens=False)
    return _causal_lm(
        models.Gemma3CausalLM,
        tokenizer,
        **_GEMMA | _GEMMA_NORMS,
        image_size=None,
        use_query_key_norm=True,
        vision_encoder=None,
    )


def gemma2() -> models.CausalLM:
    """Build a Gemma 2."""
    caps = {"attention_logit_soft_cap": 50, "final_logit_soft_cap": 30}
    return gemma(query_head_dim_normalize=True, **_GEMMA_NORMS | caps)


def gemma(**options: float) -> models.CausalLM:
    """Build a Gemma of the first generation, or of another one by options."""
    tokenizer = models.GemmaTokenizer(proto=gemma_pieces())
    return _causal_lm(models.GemmaCausalLM, tokenizer, **_GEMMA | options)


def mistral() -> models.CausalLM:
    """Build a Mistral."""
    tokenizer = models.MistralTokenizer(proto=llama_pieces())
    return _causal_lm(models.MistralCausalLM, tokenizer, **_LLAMA)


def llama2() -> models.CausalLM:
    """Build a Llama 2."""
    tokenizer = models.LlamaTokenizer(proto=llama_pieces())
    return _causal_lm(models.LlamaCausalLM, tokenizer, **_LLAMA)


def llama3() -> models.CausalLM:
    """Build a Llama 3."""
    special = ("begin_of_text", "end_of_text", "eot_id", "start_header_id", "end_header_id")
    pieces = [*_byte_pieces(), "Ġt", *(f"<|{name}|>" for name in special)]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    tokenizer = models.Llama3Tokenizer(vocabulary=vocabulary, merges=["Ġ t"])
    return _causal_lm(models.Llama3CausalLM, tokenizer, **_LLAMA)


def qwen() -> models.CausalLM:
    """Build a Qwen, whose tokenizer has no start token."""
    turns = ("<|im_start|>", "<|im_end|>")
    pieces = [*_byte_pieces(), "Ġt", "<|endoftext|>", *turns]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    tokenizer = models.QwenTokenizer(
        vocabulary=vocabulary, merges=["Ġ t"], unsplittable_tokens=list(turns)
    )
    return _causal_lm(models.QwenCausalLM, tokenizer, **_LLAMA)


def _causal_lm(
    kind: type[models.CausalLM], tokenizer: Tokenizer, **options: object
) -> models.CausalLM:
    size = {**_SIZES, "vocabulary_size": tokenizer.vocabulary_size()}
    return kind(
        backbone=kind.backbone_cls(**size, **options),
        preprocessor=kind.preprocessor_cls(tokenizer=tokenizer, sequence_length=_SEQUENCE_LENGTH),
    )


def _byte_pieces() -> list[str]:
    """Return a character for each byte, as byte-level BPE writes them.

    Source: Radford et al., "Language Models are Unsupervised Multitask Learners", and its code.
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + i) for i in range(len(others))]
