"""Cross-entropies of response tokens from the states before the output head."""

from typing import Any, NamedTuple

from keras import ops

from models.output_head import capped, has_fast_output_head

# Pieces of the vocabulary at once: their logits stay small, and each product large.
_PIECES = 32_768


def token_losses(embedding: Any, states: Any, labels: Any) -> Any:
    """The loss of each token, for a training.

    Where nothing but the states is trained, TensorFlow takes the vocabulary part by part and finds
    the gradient on the way, from a softmax whose sum is corrected when a larger logit comes. So the
    output weights pass through the processor once, and no array has the size of the vocabulary:
    Gemma's 262,144 logits of one token take a megabyte, and their gradient another one.

    Source: Wijmans et al., "Cut Your Losses in Large-Vocabulary Language Models",
    https://arxiv.org/abs/2411.09009; the running softmax is Milakov and Gimelshein's, "Online
    normalizer calculation for softmax", https://arxiv.org/abs/1805.02867.

    Args:
        embedding: The model's `ReversibleEmbedding`.
        states: Of shape `(tokens, hidden)`.
        labels: int32 of shape `(tokens,)`.

    Returns:
        Float32 of shape `(tokens,)`, in nats.
    """
    if has_fast_output_head(embedding) and not embedding.embeddings.trainable:
        return _in_parts(embedding, states, labels)
    return losses_of_logits(embedding, states, labels)


def losses_of_logits(embedding: Any, states: Any, labels: Any) -> Any:
    """The same from all logits at once: faster where no gradient is wanted."""
    logits = embedding(ops.cast(states, embedding.compute_dtype), reverse=True)
    logits = ops.cast(logits, "float32")
    # The backend's own op: the gradient of logsumexp and a gather takes three times as long.
    return ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)


class _Seen(NamedTuple):
    """What is known of each token after some of the vocabulary, float32 of a row each.

    The label is kept apart from all other pieces: where the model is sure of it, its share of 0.999
    would hide what the others pull in the rounding of bfloat16.
    """

    label_logit: Any
    largest: Any  # logit of the others
    total: Any  # of the others' exp(logit - largest)
    mean: Any  # of the others' output weights, times `total`: (tokens, hidden)


def _in_parts(embedding: Any, states: Any, labels: Any) -> Any:
    import tensorflow as tf

    table = tf.convert_to_tensor(embedding.embeddings)
    dtype = embedding.compute_dtype

    @tf.custom_gradient
    def losses(states: Any) -> Any:
        rows = tf.cast(states, dtype)

        def part(first: Any, seen: _Seen) -> Any:
            weights = tf.cast(table[first : first + _PIECES], dtype)
            return first + _PIECES, _with_part(embedding, rows, weights, labels - first, seen)

        column = tf.zeros_like(rows[:, :1], tf.float32)
        start = _Seen(column, column + tf.float32.min, column, tf.zeros_like(rows, tf.float32))
        _, seen = tf.while_loop(
            lambda first, _: first < embedding.input_dim, part, (0, start), parallel_iterations=1
        )
        odds = seen.largest + tf.math.log(seen.total) - seen.label_logit
        own = tf.cast(tf.cast(tf.gather(table, labels), dtype), tf.float32)
        own = _uncapped(embedding, own, seen.label_logit)
        direction = tf.sigmoid(odds) * (seen.mean / seen.total - own)

        def gradient(upstream: Any) -> Any:
            return tf.cast(upstream[:, tf.newaxis] * direction, states.dtype)

        return tf.math.softplus(odds[:, 0]), gradient

    return losses(states)


def _with_part(embedding: Any, rows: Any, weights: Any, labels: Any, seen: _Seen) -> _Seen:
    """What is known after one more part of the vocabulary; labels count from its first piece."""
    import tensorflow as tf

    logits = tf.cast(tf.matmul(rows, weights, transpose_b=True), tf.float32)
    logits = capped(embedding, logits)
    tokens = tf.where(tf.logical_and(labels >= 0, labels < tf.shape(weights)[0]))
    places = tf.concat([tokens, tf.cast(tf.gather(labels, tokens), tf.int64)], axis=1)
    own = tf.gather_nd(logits, places)
    others = tf.tensor_scatter_nd_update(logits, places, tf.fill(tf.shape(own), tf.float32.min))
    largest = tf.maximum(seen.largest, tf.reduce_max(others, axis=1, keepdims=True))
    shares, kept = tf.exp(others - largest), tf.exp(seen.largest - largest)
    pulled = tf.matmul(tf.cast(_uncapped(embedding, shares, logits), rows.dtype), weights)
    return _Seen(
        tf.tensor_scatter_nd_update(seen.label_logit, tokens, own[:, tf.newaxis]),
        largest,
        seen.total * kept + tf.reduce_sum(shares, axis=1, keepdims=True),
        seen.mean * kept + tf.cast(pulled, tf.float32),
    )


def _uncapped(embedding: Any, gradients: Any, logits: Any) -> Any:
    """Gradients of capped logits as those of the logits before."""
    cap = embedding.logit_soft_cap
    return gradients if cap is None else gradients * (1 - (logits / cap) ** 2)
