"""Cross-entropies of response tokens from the states before the output head."""

from typing import Any

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


def _in_parts(embedding: Any, states: Any, labels: Any) -> Any:
    import tensorflow as tf

    table = tf.convert_to_tensor(embedding.embeddings)
    dtype = embedding.compute_dtype

    @tf.custom_gradient
    def losses(states: Any) -> Any:
        rows = tf.cast(states, dtype)

        def part(first: Any, running: Any) -> Any:
            weights = tf.cast(table[first : first + _PIECES], dtype)
            logits = tf.cast(tf.matmul(rows, weights, transpose_b=True), tf.float32)
            logits = capped(embedding, logits)
            label_logit, largest, total, mean = running
            at = labels - first
            is_here = tf.logical_and(at >= 0, at < tf.shape(weights)[0])
            found = tf.gather(logits, tf.where(is_here, at, 0), batch_dims=1)
            larger = tf.maximum(largest, tf.reduce_max(logits, axis=1, keepdims=True))
            shares, kept = tf.exp(logits - larger), tf.exp(largest - larger)
            pulled = tf.matmul(tf.cast(_uncapped(embedding, shares, logits), dtype), weights)
            return first + _PIECES, (
                tf.where(is_here, found, label_logit),
                larger,
                total * kept + tf.reduce_sum(shares, axis=1, keepdims=True),
                mean * kept + tf.cast(pulled, tf.float32),
            )

        column = tf.zeros_like(rows[:, :1], tf.float32)
        start = (column[:, 0], column + tf.float32.min, column, tf.zeros_like(rows, tf.float32))
        _, (label_logit, largest, total, mean) = tf.while_loop(
            lambda first, _: first < embedding.input_dim, part, (0, start), parallel_iterations=1
        )
        own = tf.cast(tf.gather(table, labels), tf.float32)
        direction = mean / total - _uncapped(embedding, own, label_logit[:, tf.newaxis])

        def gradient(upstream: Any) -> Any:
            return tf.cast(upstream[:, tf.newaxis] * direction, states.dtype)

        return largest[:, 0] + tf.math.log(total[:, 0]) - label_logit, gradient

    return losses(states)


def _uncapped(embedding: Any, gradients: Any, logits: Any) -> Any:
    """Gradients of capped logits as those of the logits before."""
    cap = embedding.logit_soft_cap
    return gradients if cap is None else gradients * (1 - (logits / cap) ** 2)
