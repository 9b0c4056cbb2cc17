"""KerasHub's decoder blocks over caches in which every row has a place of its own.

KerasHub's own attention writes all rows of a batch at one index, into a copy of the cache. Here a
row's keys and values lie at its own positions, whatever the others' lengths, and a layer's cache
is one tensor each, which TensorFlow's loop updates where it lies.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

Cache = tuple[Any, Any]  # keys and values of a layer: (rows, key-value heads, positions, head_dim)


@dataclasses.dataclass(frozen=True)
class _Family:
    """Where a family's decoder block keeps the parts of its attention."""

    attention: str
    prefix: str  # of the projections' names
    rotary: str
    scales_embeddings: bool


_GEMMA = _Family("attention", "", "rope_layer", scales_embeddings=True)
_LLAMA = _Family("_self_attention_layer", "_", "rotary_embedding_layer", scales_embeddings=False)
_FAMILIES = {
    "GemmaBackbone": _GEMMA,
    "Gemma3Backbone": _GEMMA,
    "MistralBackbone": _LLAMA,
    "LlamaBackbone": _LLAMA,
    "Llama3Backbone": _LLAMA,
}


def is_known(backbone: Any) -> bool:
    """Whether the layers of a KerasHub backbone are those that `forward` can call."""
    name = type(backbone).__name__
    return name in _FAMILIES and not getattr(backbone, "use_bidirectional_attention", False)


def empty_caches(backbone: Any, rows: int) -> tuple[Cache, ...]:
    """Caches of every layer that hold no position yet."""
    family = _FAMILIES[type(backbone).__name__]
    caches = []
    for block in backbone.transformer_layers:
        key = getattr(getattr(block, family.attention), f"{family.prefix}key_dense")
        *_, heads, size = key.compute_output_shape((None, None, backbone.hidden_dim))
        empty = tf.zeros((rows, heads, 0, size), key.compute_dtype)
        caches.append((empty, empty))
    return tuple(caches)


def forward(
    backbone: Any, token_ids: Any, positions: Any, caches: Sequence[Cache]
) -> tuple[Any, tuple[Cache, ...]]:
    """The backbone's hidden states of tokens that see what the caches hold of earlier ones.

    Args:
        backbone: One that `is_known`.
        token_ids: Int32 tensor of shape `(rows, tokens)`.
        positions: The tokens' places in their rows, of the same shape; a token sees its own and
            what lies before it.
        caches: Of every layer, with room for the positions.

    Returns:
        Normalized hidden states, `(rows, tokens, hidden)`, and the caches with the tokens in them.
    """
    family = _FAMILIES[type(backbone).__name__]
    x = backbone.token_embedding(token_ids)
    if family.scales_embeddings:
        x *= tf.cast(tf.sqrt(float(backbone.hidden_dim)), x.dtype)
    filled = []
    for block, cache in zip(backbone.transformer_layers, caches, strict=True):
        attention = _Attention(family, block, positions, cache)
        layer = getattr(block, family.attention)
        layer.call = attention
        try:
            x = block(x)
        finally:
            del layer.call
        filled.append(attention.cache)
    return backbone.layer_norm(x), tuple(filled)


class _Attention:
    """Takes the place of a block's attention for one call."""

    def __init__(self, family: _Family, block: Any, positions: Any, cache: Cache) -> None:
        self.cache = cache
        self._layer = getattr(block, family.attention)
        self._family = family
        self._positions = positions
        self._window = _window(block, self._layer)

    def __call__(self, *inputs: Any, hidden_states: Any = None, **_: Any) -> Any:
        x = inputs[0] if inputs else hidden_states
        query, key = (self._rotated(self._projected(name, x), name) for name in ("query", "key"))
        value = self._projected("value", x)
        self.cache = (self._written(self.cache[0], key), self._written(self.cache[1], value))
        return self._part("output_dense")(self._attended(query))

    def _part(self, name: str) -> Any:
        return getattr(self._layer, f"{self._family.prefix}{name}")

    def _projected(self, name: str, x: Any) -> Any:
        projected = self._part(f"{name}_dense")(x)
        if name != "value" and getattr(self._layer, "use_query_key_norm", False):
            return self._part(f"{name}_norm")(projected)
        return projected

    def _rotated(self, x: Any, name: str) -> Any:
        # Gemma's own order of the rotated features is the same for both: no product depends on it.
        rotated = getattr(self._layer, self._family.rotary)(x, positions=self._positions)
        return rotated * tf.cast(_scale(self._layer, x), x.dtype) if name == "query" else rotated

    def _written(self, cache: Any, new: Any) -> Any:
        """The cache with `new`, `(rows, tokens, heads, head_dim)`, at the tokens' positions."""
        rows, tokens, heads, _ = tf.unstack(tf.shape(new))
        row = tf.range(rows)[:, None, None]
        head = tf.range(heads)[None, None, :]
        places = tf.broadcast_to(self._positions[:, :, None], (rows, tokens, heads))
        indices = tf.stack([row + 0 * places, head + 0 * places, places], axis=-1)
        return tf.tensor_scatter_nd_update(cache, indices, new)

    def _attended(self, query: Any) -> Any:
        keys, values = self.cache
        rows, tokens = tf.unstack(tf.shape(query)[:2])
        n_heads, size = query.shape[2:]
        heads = keys.shape[1]
        group = n_heads // heads
        query = tf.transpose(tf.reshape(query, (rows, tokens, heads, group, size)), (0, 2, 3, 1, 4))
        query = tf.reshape(query, (rows, heads, group * tokens, size))
        scores = tf.matmul(query, keys, transpose_b=True)
        if cap := getattr(self._layer, "logit_soft_cap", None):
            scores = tf.tanh(scores / cap) * cap
        scores = tf.reshape(tf.cast(scores, tf.float32), (rows, heads, group, tokens, -1))
        scores = tf.where(self._seen()[:, None, None], scores, scores.dtype.min)
        shares = tf.cast(tf.nn.softmax(scores), values.dtype)
        shares = tf.reshape(shares, (rows, heads, group * tokens, -1))
        found = tf.reshape(tf.matmul(shares, values), (rows, heads, group, tokens, size))
        return tf.reshape(tf.transpose(found, (0, 3, 1, 2, 4)), (rows, tokens, n_heads, size))

    def _seen(self) -> Any:
        """Which positions of the cache a token sees, `(rows, tokens, positions)`."""
        distance = self._positions[:, :, None] - tf.range(tf.shape(self.cache[0])[2])
        seen = distance >= 0
        return seen if self._window is None else seen & (distance < self._window)


def _window(block: Any, attention: Any) -> int | None:
    """How many tokens, itself included, a token sees at most."""
    if getattr(attention, "use_sliding_window_attention", False):
        return int(attention.sliding_window_size)
    window: int | None = getattr(block, "sliding_window", None)
    return window


def _scale(attention: Any, query: Any) -> float:
    if getattr(attention, "query_head_dim_normalize", True):
        return 1 / math.sqrt(query.shape[-1])
    return 1 / math.sqrt(attention.hidden_dim // attention.num_query_heads)
