"""Transform's output as batches of token ids, with the positions that the loss is taken at."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from core.errors import ModelError
from core.families import GEMMA
from core.family import ChatTemplate
from models.preprocessing import PROMPT_TEXT, RESPONSE_TEXT

if TYPE_CHECKING:
    from keras_hub.tokenizers import Tokenizer

IGNORED_LABEL = -1
# XLA compiles a program for every shape, so its shapes are few.
_XLA_PAD_MULTIPLE = 16
_TENSORFLOW_XLA_PAD_MULTIPLE = 64  # whose compilation of a shape takes longer than JAX's
_TOKENIZED_AT_ONCE = 1024

Array = np.ndarray[Any, Any]


@dataclasses.dataclass(frozen=True)
class TokenizedRow:
    """One training row.

    Attributes:
        tokens: Beginning of sequence, where the family has one, prompt, response, end of turn.
        response_start: Index of the response's first token in `tokens`.
    """

    tokens: tuple[int, ...]
    response_start: int


@dataclasses.dataclass(frozen=True)
class TokenizedRows:
    """The rows of a split that can be trained on, and how many were too long for it."""

    rows: tuple[TokenizedRow, ...]
    too_long: int


def read_texts(file_patterns: Sequence[str]) -> list[tuple[str, str]]:
    """Read the `prompt_text` and `response_text` of transformed examples.

    Args:
        file_patterns: Patterns of gzipped TFRecord files, as the Trainer receives them.
    """
    files = sorted(name for pattern in file_patterns for name in tf.io.gfile.glob(pattern))
    features = {name: tf.io.FixedLenFeature([], tf.string) for name in (PROMPT_TEXT, RESPONSE_TEXT)}
    records = tf.data.TFRecordDataset(files, compression_type="GZIP")
    rows = records.map(lambda record: tf.io.parse_single_example(record, features))
    return [
        (row[PROMPT_TEXT].decode(), row[RESPONSE_TEXT].decode()) for row in rows.as_numpy_iterator()
    ]


def tokenize(
    texts: Sequence[tuple[str, str]],
    tokenizer: "Tokenizer",
    sequence_length: int | None,
    template: ChatTemplate = GEMMA,
) -> TokenizedRows:
    """Tokenize formatted prompts and responses.

    A row longer than `sequence_length` is skipped and counted, never cut: a cut response would
    teach the model to stop in the middle.

    Args:
        texts: Formatted prompt and response of each row.
        tokenizer: A KerasHub tokenizer.
        sequence_length: Maximum tokens per row; None skips none.
        template: The one that the texts were formatted with.

    Raises:
        ModelError: The model has no token for the template's end of turn.
    """
    start, end = start_tokens(tokenizer), end_token_id(tokenizer, template)
    rows: list[TokenizedRow] = []
    for first in range(0, len(texts), _TOKENIZED_AT_ONCE):
        part = texts[first : first + _TOKENIZED_AT_ONCE]
        prompts = encode_prompts([prompt for prompt, _ in part], tokenizer, template)
        # A tokenizer does not find a control token such as </s> in a text.
        responses = encode([r.removesuffix(template.end) for _, r in part], tokenizer)
        rows += [
            TokenizedRow((*start, *prompt, *response, end), len(start) + len(prompt))
            for prompt, response in zip(prompts, responses, strict=True)
        ]
    kept = tuple(
        row for row in rows if sequence_length is None or len(row.tokens) <= sequence_length
    )
    return TokenizedRows(kept, len(rows) - len(kept))


def start_tokens(tokenizer: "Tokenizer") -> tuple[int, ...]:
    """Return what stands before every text: one token, or none in families such as Qwen."""
    token = getattr(tokenizer, "start_token_id", None)
    return () if token is None else (int(token),)


def encode(texts: Sequence[str], tokenizer: "Tokenizer") -> list[list[int]]:
    """Tokenize each text, without special tokens around it."""
    tokens = tokenizer(list(texts))
    ids: list[list[int]] = tokens.to_list() if hasattr(tokens, "to_list") else tokens
    return ids


def encode_prompts(
    texts: Sequence[str], tokenizer: "Tokenizer", template: ChatTemplate
) -> list[list[int]]:
    """Tokenize formatted prompts, in which earlier responses end with a control token."""
    if not any(template.end in text for text in texts) or finds_end(tokenizer, template):
        return encode(texts, tokenizer)
    parts = [text.split(template.end) for text in texts]
    ids = iter(encode([part for of_text in parts for part in of_text], tokenizer))
    end = end_token_id(tokenizer, template)
    return [[*next(ids), *(t for _ in of_text[1:] for t in (end, *next(ids)))] for of_text in parts]


def finds_end(tokenizer: "Tokenizer", template: ChatTemplate) -> bool:
    """Return whether a tokenizer finds the end of a turn in a text, as many templates rely on."""
    if template.end in template.suffix:
        return True
    return encode([template.end], tokenizer) == [[end_token_id(tokenizer, template)]]


def decode(ids: Sequence[int], tokenizer: "Tokenizer") -> str:
    """Return the text of tokens."""
    text = tokenizer.detokenize(np.array(ids, "int32")) if len(ids) else ""
    text = text.numpy() if hasattr(text, "numpy") else text
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def end_token_id(tokenizer: "Tokenizer", template: ChatTemplate) -> int:
    """Return the token that ends a turn.

    Raises:
        ModelError: The model has no such token.
    """
    try:
        token = int(tokenizer.token_to_id(template.end))
        is_known = str(tokenizer.id_to_token(token)) == template.end
    except (KeyError, TypeError, ValueError):
        is_known = False
    if not is_known:
        raise ModelError(
            f"The model has no token {template.end!r}, which ends a turn of its family's template. "
            "Choose a Gemma, Mistral, Llama or Qwen model whose name names its family."
        )
    return token


def pad_multiple(*, jit_compile: bool = False) -> int:
    """Return what lengths are rounded up to a multiple of on this process' backend.

    Args:
        jit_compile: Whether XLA compiles what is computed on the TensorFlow backend.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return _XLA_PAD_MULTIPLE
    return _TENSORFLOW_XLA_PAD_MULTIPLE if jit_compile else 1


def label_weights(labels: Sequence[Array]) -> list[Array]:
    """Weight the labels of a step so that the tokens of all its batches count alike.

    Args:
        labels: The labels of the step's batches.

    Returns:
        For each batch weights of the labels' shape. The mean over the batches of the weighted sums
        of losses is the mean over the step's response tokens.
    """
    total = sum(int((batch != IGNORED_LABEL).sum()) for batch in labels)
    return [(batch != IGNORED_LABEL).astype("float32") * len(labels) / total for batch in labels]


def batches(
    rows: Sequence[TokenizedRow],
    batch_size: int,
    rng: np.random.Generator | None,
    multiple: int = 1,
) -> Iterator[tuple[dict[str, Array], Array]]:
    """Make the inputs and labels of one pass over the rows.

    Args:
        rows: What `tokenize` kept.
        batch_size: Rows per batch; the last one may hold fewer.
        rng: Source of the order; None keeps the rows' order.
        multiple: Of which `length` and `responses` are made multiples.

    Yields:
        Inputs and labels. `token_ids` int32 and `padding_mask` bool of shape `(batch, length)`;
        `positions` int32 of shape `(responses,)`, where in the flattened batch the model predicts a
        response token; labels int32 of the same shape, `IGNORED_LABEL` in its padding.
    """
    for group in groups(rows, batch_size, rng):
        yield pad(group, multiple)


def groups(
    rows: Sequence[TokenizedRow], batch_size: int, rng: np.random.Generator | None
) -> list[list[TokenizedRow]]:
    """Group the rows of one pass into batches.

    Rows are shuffled, sorted by length within stretches of many batches, and the batches shuffled:
    little padding, and an order that is new in every pass.
    """
    order = np.arange(len(rows))
    if rng is not None:
        rng.shuffle(order)
    stretch = 32 * batch_size
    found: list[list[TokenizedRow]] = []
    for start in range(0, len(order), stretch):
        part = [rows[i] for i in order[start : start + stretch]]
        part.sort(key=lambda row: len(row.tokens))
        found += [part[i : i + batch_size] for i in range(0, len(part), batch_size)]
    return found if rng is None else [found[i] for i in rng.permutation(len(found))]


def pad(rows: Sequence[TokenizedRow], multiple: int) -> tuple[dict[str, Array], Array]:
    """Make the inputs and labels of one batch; see `batches`."""
    # The last token is a label only.
    length = _rounded(max(len(row.tokens) for row in rows) - 1, multiple)
    responses = _rounded(sum(len(row.tokens) - row.response_start for row in rows), multiple)
    token_ids = np.zeros((len(rows), length), "int32")
    padding_mask = np.zeros((len(rows), length), "bool")
    positions = np.zeros(responses, "int32")
    labels = np.full(responses, IGNORED_LABEL, "int32")
    done = 0
    for i, row in enumerate(rows):
        n_inputs, n_labels = len(row.tokens) - 1, len(row.tokens) - row.response_start
        token_ids[i, :n_inputs] = row.tokens[:-1]
        padding_mask[i, :n_inputs] = True
        first = i * length + row.response_start - 1
        positions[done : done + n_labels] = np.arange(first, first + n_labels)
        labels[done : done + n_labels] = row.tokens[row.response_start :]
        done += n_labels
    inputs = {"token_ids": token_ids, "padding_mask": padding_mask, "positions": positions}
    return inputs, labels


def _rounded(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


def n_batches(n_rows: int, batch_size: int) -> int:
    """Return the number of batches of one pass."""
    return -(-n_rows // batch_size)
