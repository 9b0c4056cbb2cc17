"""Two-layer random models with real tokenizers, for tests: they memorize and know nothing."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.files import publish_folder

_VERSION = 2
_VOCABULARY = 768
_LAYERS = 2
_HIDDEN = 96
_SEQUENCE_LENGTH = 256
_GEMMA = {"vocabulary_size": _VOCABULARY, "num_key_value_heads": 1, "head_dim": 24}
_LLAMA = {"rope_max_wavelength": 10000, "num_key_value_heads": 2}
_WORDS = """
I have a question about my order and the device that you sent me last week , please help me with
it as soon as you can because it does not work and I was charged for it twice how do I set it up
or send it back what should I do when the app says that my account is locked hello thanks
regards dear support team the light camera speaker router does blink
"""
_SIZES = {
    "num_layers": _LAYERS,
    "num_query_heads": 4,
    "hidden_dim": _HIDDEN,
    "intermediate_dim": 2 * _HIDDEN,
    "dtype": "float32",
}


def make_preset(cache_dir: str, name: str = "gemma3-tiny") -> str:
    """The folder of a tiny preset, made at first use; about a second.

    Args:
        cache_dir: Folder for converted presets.
        name: One of `NAMES`.

    Returns:
        Path of a KerasHub preset, the same weights on every call.
    """
    target = Path(cache_dir) / "presets" / f"{name}-v{_VERSION}"
    if target.is_dir():
        return str(target)
    import keras

    keras.utils.set_random_seed(_VERSION)
    model = _BUILDERS[name]()
    with publish_folder(target) as folder:
        model.save_to_preset(str(folder))
    return str(target)


def _gemma3() -> Any:
    from keras_hub import models

    tokenizer = models.Gemma3Tokenizer(proto=_gemma_pieces(), has_vision_tokens=False)
    backbone = models.Gemma3Backbone(
        **_SIZES | _GEMMA | {"vocabulary_size": tokenizer.vocabulary_size()},
        image_size=None,
        use_query_key_norm=True,
        use_post_ffw_norm=True,
        use_post_attention_norm=True,
        use_sliding_window_attention=True,
        sliding_window_size=512,
        vision_encoder=None,
    )
    return _task(models.Gemma3CausalLM, models.Gemma3CausalLMPreprocessor, backbone, tokenizer)


def _gemma2() -> Any:
    return _gemma(
        query_head_dim_normalize=True,
        use_post_ffw_norm=True,
        use_post_attention_norm=True,
        attention_logit_soft_cap=50,
        final_logit_soft_cap=30,
        use_sliding_window_attention=True,
        sliding_window_size=512,
    )


def _gemma(**options: Any) -> Any:
    from keras_hub import models

    tokenizer = models.GemmaTokenizer(proto=_gemma_pieces())
    vocabulary = {"vocabulary_size": tokenizer.vocabulary_size()}
    backbone = models.GemmaBackbone(**_SIZES | _GEMMA | vocabulary, **options)
    return _task(models.GemmaCausalLM, models.GemmaCausalLMPreprocessor, backbone, tokenizer)


def _mistral() -> Any:
    from keras_hub import models

    tokenizer = models.MistralTokenizer(proto=_llama_pieces())
    vocabulary = tokenizer.vocabulary_size()
    backbone = models.MistralBackbone(vocabulary_size=vocabulary, **_SIZES, **_LLAMA)
    return _task(models.MistralCausalLM, models.MistralCausalLMPreprocessor, backbone, tokenizer)


def _llama2() -> Any:
    from keras_hub import models

    tokenizer = models.LlamaTokenizer(proto=_llama_pieces())
    vocabulary = tokenizer.vocabulary_size()
    backbone = models.LlamaBackbone(vocabulary_size=vocabulary, **_SIZES, **_LLAMA)
    return _task(models.LlamaCausalLM, models.LlamaCausalLMPreprocessor, backbone, tokenizer)


def _llama3() -> Any:
    from keras_hub import models

    special = (
        "<|begin_of_text|>",
        "<|end_of_text|>",
        "<|eot_id|>",
        "<|start_header_id|>",
        "<|end_header_id|>",
    )
    vocabulary = {piece: i for i, piece in enumerate([*_byte_pieces(), "Ġt", *special])}
    tokenizer = models.Llama3Tokenizer(vocabulary=vocabulary, merges=["Ġ t"])
    backbone = models.Llama3Backbone(vocabulary_size=len(vocabulary), **_SIZES, **_LLAMA)
    return _task(models.Llama3CausalLM, models.Llama3CausalLMPreprocessor, backbone, tokenizer)


def _task(task: Any, preprocessor: Any, backbone: Any, tokenizer: Any) -> Any:
    prepared = preprocessor(tokenizer=tokenizer, sequence_length=_SEQUENCE_LENGTH)
    return task(backbone=backbone, preprocessor=prepared)


_BUILDERS: dict[str, Callable[[], Any]] = {
    "gemma3-tiny": _gemma3,
    "gemma2-tiny": _gemma2,
    "gemma-tiny": _gemma,
    "mistral-tiny": _mistral,
    "llama2-tiny": _llama2,
    "llama3-tiny": _llama3,
}
NAMES = tuple(_BUILDERS)


def _gemma_pieces() -> bytes:
    return _pieces(
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=3,
        pad_piece="<pad>",
        eos_piece="<eos>",
        bos_piece="<bos>",
        user_defined_symbols=["<start_of_turn>", "<end_of_turn>", "\n"],
    )


def _llama_pieces() -> bytes:
    return _pieces(normalization_rule_name="identity", unk_id=0, bos_id=1, eos_id=2, pad_id=-1)


def _pieces(**options: Any) -> bytes:
    """A SentencePiece model, trained on a few generic sentences."""
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_sentences()),
        model_writer=model,
        model_type="bpe",
        vocab_size=_VOCABULARY,
        hard_vocab_limit=False,
        byte_fallback=True,
        split_digits=True,
        remove_extra_whitespaces=False,
        unk_piece="<unk>",
        num_threads=1,
        minloglevel=2,
        **options,
    )
    return model.getvalue()


def _byte_pieces() -> list[str]:
    """A character for each byte, as byte-level BPE writes them.

    Source: Radford et al., "Language Models are Unsupervised Multitask Learners", and its code.
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + i) for i in range(len(others))]


def _sentences() -> list[str]:
    words = _WORDS.split()
    texts = [" ".join(words[i : i + 12]) for i in range(len(words) - 12)]
    values = ("billing", "shipping", "defect", "account", "returns", "how_to")
    texts += [
        json.dumps({"category": value, "priority": priority, "product": None})
        for value in values
        for priority in ("low", "normal", "high")
    ]
    return texts
