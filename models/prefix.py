"""Tokens that many prompts begin with go through the model once, not with every prompt.

KerasHub's generation fills a cache of keys and values with the whole prompt first. Here the cache
of the shared beginning is computed for one row and copied to all others.
"""

import contextlib
import inspect
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf
from keras import ops

_LEAST_TOKENS = 32  # for less, a second trace of the generation loop (16 to 30 s) does not pay


def shared_prefix(rows: Sequence[list[int]]) -> list[int]:
    """The tokens that at least three quarters of the rows begin with; empty where they are few.

    Args:
        rows: Token ids of prompts. At least one token of each stays outside of the prefix.
    """
    if len(rows) < 2:
        return []
    # Rows that begin alike are neighbours in this order: so many of them include both of the pair.
    ordered = sorted(rows)
    first = len(rows) // 4
    pair = ordered[first], ordered[max(3 * len(rows) // 4 - 1, first + 1)]
    same = itertools.takewhile(lambda tokens: tokens[0] == tokens[1], zip(*pair, strict=False))
    prefix = [token for token, _ in same][: min(map(len, pair)) - 1]
    return prefix if len(prefix) >= _LEAST_TOKENS else []


def begins_with(row: Sequence[int], prefix: Sequence[int]) -> bool:
    """Whether a row has the prefix and goes on after it."""
    return len(row) > len(prefix) and list(row[: len(prefix)]) == list(prefix)


def prefix_cache(model: Any, prefix: Sequence[int]) -> Any:
    """The model's keys and values of a prefix; needs the backend TensorFlow.

    Args:
        model: A KerasHub causal language model.
        prefix: Token ids.

    Returns:
        Tensor of shape `(1, layers, 2, len(prefix), heads, head_dim)`.
    """
    # Multimodal families have further arguments, which are None for text.
    further = len(inspect.signature(model._build_cache).parameters) - 1

    # As a graph, which leaves out the product with the vocabulary that nobody asks for.
    @tf.function(autograph=False)
    def filled(token_ids: Any) -> Any:
        _, cache = model._build_cache(token_ids, *[None] * further)
        return cache

    return filled(tf.constant([list(prefix)], tf.int32))


@contextlib.contextmanager
def begun_with(model: Any, cache: Any) -> Iterator[None]:
    """While the context is open, the model's generation takes a prefix from its cache.

    Args:
        model: A KerasHub causal language model.
        cache: What `prefix_cache` returned; every row must begin with its tokens.
    """

    def build_cache(token_ids: Any, *_: Any) -> tuple[Any, Any]:
        rows, length = ops.shape(token_ids)
        _, layers, pair, done, heads, size = ops.shape(cache)
        begun = ops.broadcast_to(cache, (rows, layers, pair, done, heads, size))
        rest = ops.zeros((rows, layers, pair, length - done, heads, size), cache.dtype)
        _, hidden_states, filled = model.call_with_cache(
            token_ids=token_ids[:, done:],
            cache=ops.concatenate([begun, rest], axis=3),
            cache_update_index=done,
        )
        return hidden_states, filled

    model._build_cache = build_cache
    try:
        yield
    finally:
        del model._build_cache
