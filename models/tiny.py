"""A two-layer random Gemma 3 with a real tokenizer, for tests: it memorizes and knows nothing."""

import io
import json
from pathlib import Path
from typing import Any

from models.files import publish_folder

NAME = "gemma3-tiny"
_VERSION = 1
_VOCABULARY = 768
_LAYERS = 2
_HIDDEN = 96


def make_preset(cache_dir: str) -> str:
    """The folder of the tiny preset, made at first use; about a second.

    Args:
        cache_dir: Folder for converted presets.

    Returns:
        Path of a KerasHub preset, the same weights on every call.
    """
    target = Path(cache_dir) / "presets" / f"{NAME}-v{_VERSION}"
    if target.is_dir():
        return str(target)
    with publish_folder(target) as folder:
        _build().save_to_preset(str(folder))
    return str(target)


def _build() -> Any:
    import keras
    import keras_hub

    keras.utils.set_random_seed(_VERSION)
    tokenizer = keras_hub.models.Gemma3Tokenizer(proto=_tokenizer_proto(), has_vision_tokens=False)
    backbone = keras_hub.models.Gemma3Backbone(
        vocabulary_size=tokenizer.vocabulary_size(),
        image_size=None,
        num_layers=_LAYERS,
        num_query_heads=4,
        num_key_value_heads=1,
        hidden_dim=_HIDDEN,
        intermediate_dim=2 * _HIDDEN,
        head_dim=24,
        use_query_key_norm=True,
        use_post_ffw_norm=True,
        use_post_attention_norm=True,
        use_sliding_window_attention=True,
        sliding_window_size=512,
        vision_encoder=None,
        dtype="float32",
    )
    preprocessor = keras_hub.models.Gemma3CausalLMPreprocessor(
        tokenizer=tokenizer, sequence_length=256
    )
    return keras_hub.models.Gemma3CausalLM(backbone=backbone, preprocessor=preprocessor)


def _tokenizer_proto() -> bytes:
    """A SentencePiece model with Gemma's special tokens, trained on a few generic sentences."""
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
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=3,
        pad_piece="<pad>",
        eos_piece="<eos>",
        bos_piece="<bos>",
        unk_piece="<unk>",
        user_defined_symbols=["<start_of_turn>", "<end_of_turn>", "\n"],
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def _sentences() -> list[str]:
    words = [
        "I",
        "have",
        "a",
        "question",
        "about",
        "my",
        "order",
        "and",
        "the",
        "device",
        "that",
        "you",
        "sent",
        "me",
        "last",
        "week",
        ",",
        "please",
        "help",
        "me",
        "with",
        "it",
        "as",
        "soon",
        "as",
        "you",
        "can",
        "because",
        "it",
        "does",
        "not",
        "work",
        "and",
        "I",
        "was",
        "charged",
        "for",
        "it",
        "twice",
        "how",
        "do",
        "I",
        "set",
        "it",
        "up",
        "or",
        "send",
        "it",
        "back",
        "what",
        "should",
        "I",
        "do",
        "when",
        "the",
        "app",
        "says",
        "that",
        "my",
        "account",
        "is",
        "locked",
        "hello",
        "thanks",
        "regards",
        "dear",
        "support",
        "team",
        "the",
        "light",
        "camera",
        "speaker",
        "router",
        "does",
        "blink",
    ]
    texts = [" ".join(words[i : i + 12]) for i in range(len(words) - 12)]
    values = ("billing", "shipping", "defect", "account", "returns", "how_to")
    texts += [
        json.dumps({"category": value, "priority": priority, "product": None})
        for value in values
        for priority in ("low", "normal", "high")
    ]
    return texts
