"""KerasHub's decoder blocks over caches in which every row has its own position.

KerasHub's own attention writes all rows of a batch at one index, into a copy of the cache. Here a
row's keys and values are stored at its own positions, whatever the others' lengths, and each layer
has a cache of its own, which TensorFlow's loop updates in place.
"""

import math
from collections.abc import Sequence

import tensorflow as tf
from keras.layers import Layer
from keras_hub.models import Backbone

from core.families import family_of
from core.family import DecoderLayout

# Keys and values of a layer: (rows, key-value heads, positions, head_dim)
Cache = tuple[tf.Tensor, tf.Tensor]


def is_known(backbone: Backbone) -> bool:
    """Return whether `forward` can call the layers of a backbone."""
    family = family_of(backbone)
    is_causal = not getattr(backbone, "use_bidirectional_attention", False)
    return bool(family and family.decoder and is_causal)


def _layout(backbone: Backbone) -> DecoderLayout:
    family = family_of(backbone)
    assert family is not None
    assert family.decoder is not None
    return family.decoder


def empty_caches(backbone: Backbone, rows: int) -> tuple[Cache, ...]:
    """Return caches of every layer that hold no position yet."""
    layout = _layout(backbone)
    caches = []
    for block in backbone.transformer_layers:
        key = getattr(getattr(block, layout.attention), f"{layout.prefix}key_dense")
        *_, heads, size = key.compute_output_shape((None, None, backbone.hidden_dim))
        empty = tf.zeros((rows, heads, 0, size), key.compute_dtype)
        caches.append((empty, empty))
    return tuple(caches)


def forward(
    backbone: Backbone,
    token_ids: tf.Tensor,
    positions: tf.Tensor,
    caches: Sequence[Cache],
) -> tuple[tf.Tensor, tuple[Cache, ...]]:
    """Compute the hidden states of tokens that attend to themselves and to cached tokens.

    Args:
        backbone: One that `is_known`.
        token_ids: Int32 tensor of shape `(rows, tokens)`.
        positions: The tokens' positions in their rows, of the same shape; a token attends to its
            own and to those before it.
        caches: Of every layer, with room for the positions.

    Returns:
        Normalized hidden states, `(rows, tokens, hidden)`, and the caches with the tokens in them.
    """
    layout = _layout(backbone)
    x = backbone.token_embedding(token_ids)
    if layout.scales_embeddings:
        x *= tf.cast(tf.sqrt(float(backbone.hidden_dim)), x.dtype)
    filled = []
    for block, cache in zip(backbone.transformer_layers, caches, strict=True):
        attention = _Attention(layout, block, positions, cache)
        layer = getattr(block, layout.attention)
        layer.call = attention
        try:
            x = block(x)
        finally:
            del layer.call
        filled.append(attention.cache)
    return backbone.layer_norm(x), tuple(filled)


class _Attention:
    """Replaces a block's attention for one call."""

    def __init__(
        self, layout: DecoderLayout, block: Layer, positions: tf.Tensor, cache: Cache
    ) -> None:
        self.cache = cache
        self._layer = getattr(block, layout.attention)
        self._layout = layout
        self._positions = positions
        self._window = _window(block, self._layer)

    def __call__(
        self, *inputs: tf.Tensor, hidden_states: tf.Tensor | None = None, **_: object
    ) -> tf.Tensor:
        x = inputs[0] if inputs else hidden_states
        query, key = (self._rotated(self._projected(name, x), name) for name in ("query", "key"))
        value = self._projected("value", x)
        self.cache = (self._written(self.cache[0], key), self._written(self.cache[1], value))
        return self._part("output_dense")(self._attended(query))

    def _part(self, name: str) -> Layer:
        return getattr(self._layer, f"{self._layout.prefix}{name}")

    def _projected(self, name: str, x: tf.Tensor) -> tf.Tensor:
        projected = self._part(f"{name}_dense")(x)
        if name != "value" and getattr(self._layer, "use_query_key_norm", False):
            return self._part(f"{name}_norm")(projected)
        return projected

    def _rotated(self, x: tf.Tensor, name: str) -> tf.Tensor:
        # Gemma's own order of the rotated features is the same for both: no product depends on it.
        rotated = getattr(self._layer, self._layout.rotary)(x, positions=self._positions)
        return rotated * tf.cast(_scale(self._layer, x), x.dtype) if name == "query" else rotated

    def _written(self, cache: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
        """Write `new`, `(rows, tokens, heads, head_dim)`, at the tokens' positions of the cache."""
        rows, tokens, heads, _ = tf.unstack(tf.shape(new))
        row = tf.range(rows)[:, None, None]
        head = tf.range(heads)[None, None, :]
        places = tf.broadcast_to(self._positions[:, :, None], (rows, tokens, heads))
        indices = tf.stack([row + 0 * places, head + 0 * places, places], axis=-1)
        return tf.tensor_scatter_nd_update(cache, indices, new)

    def _attended(self, query: tf.Tensor) -> tf.Tensor:
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
        scores = tf.where(self._mask()[:, None, None], scores, scores.dtype.min)
        shares = tf.cast(tf.nn.softmax(scores), values.dtype)
        shares = tf.reshape(shares, (rows, heads, group * tokens, -1))
        found = tf.reshape(tf.matmul(shares, values), (rows, heads, group, tokens, size))
        return tf.reshape(tf.transpose(found, (0, 3, 1, 2, 4)), (rows, tokens, n_heads, size))

    def _mask(self) -> tf.Tensor:
        """Return which positions of the cache a token attends to, `(rows, tokens, positions)`."""
        distance = self._positions[:, :, None] - tf.range(tf.shape(self.cache[0])[2])
        mask = distance >= 0
        return mask if self._window is None else mask & (distance < self._window)


def _window(block: Layer, attention: Layer) -> int | None:
    """Return how many tokens, itself included, a token attends to at most."""
    if getattr(attention, "use_sliding_window_attention", False):
        return int(attention.sliding_window_size)
    window: int | None = getattr(block, "sliding_window", None)
    return window


def _scale(attention: Layer, query: tf.Tensor) -> float:
    if getattr(attention, "query_head_dim_normalize", True):
        return 1 / math.sqrt(query.shape[-1])
    return 1 / math.sqrt(attention.hidden_dim // attention.num_query_heads)
