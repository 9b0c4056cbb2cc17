"""The vocabularies of the tiny random models, trained on a few sentences without Keras."""

import io
import json
from collections.abc import Sequence

import sentencepiece

_VOCABULARY = 768
_WORDS = """
I have a question about my order and the device that you sent me last week , please help me with
it as soon as you can because it does not work and I was charged for it twice how do I set it up
or send it back what should I do when the app says that my account is locked hello thanks
regards dear support team the light camera speaker router does blink
"""


def gemma_pieces(symbols: Sequence[str] = ()) -> bytes:
    """Return the SentencePiece model of the tiny Gemmas; `symbols` are further tokens of it."""
    return train_pieces(
        add_dummy_prefix=False,
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=3,
        pad_piece="<pad>",
        eos_piece="<eos>",
        bos_piece="<bos>",
        user_defined_symbols=["<start_of_turn>", "<end_of_turn>", "\n", *symbols],
    )


def llama_pieces() -> bytes:
    """Return the SentencePiece model of the tiny Mistral and Llama 2."""
    return train_pieces(unk_id=0, bos_id=1, eos_id=2, pad_id=-1)


def train_pieces(**options: object) -> bytes:
    """Train a SentencePiece model on a few generic sentences; `options` are its trainer's."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_sentences()),
        model_writer=model,
        model_type="bpe",
        normalization_rule_name="identity",
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
