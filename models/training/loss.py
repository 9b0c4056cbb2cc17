"""The model and the loss that are trained: logits at response positions only."""

import keras
import tensorflow as tf
from keras import ops
from keras_hub.models import CausalLM

from models.data import IGNORED_LABEL
from models.tensorflow_patches.chunked_cross_entropy import (
    chunked_cross_entropy,
    full_cross_entropy,
)


def backbone_with_response_positions(causal_lm: CausalLM) -> keras.Model:
    """Make a model that shares a causal LM's weights and ends where its output head begins.

    The projection on Gemma's vocabulary of 262,144 is half of a training step, and only the
    positions before a response token need it.

    Args:
        causal_lm: One of token inputs.

    Returns:
        A model from `token_ids`, `padding_mask` of shape `(batch, length)` and `positions` of shape
        `(responses,)` in the flattened batch to hidden states of shape `(responses, hidden)`.
    """
    inputs = dict(causal_lm.backbone.input)
    positions = keras.Input(batch_shape=(None,), dtype="int32", name="positions")
    hidden = causal_lm.backbone(inputs)
    flat = ops.reshape(hidden, (-1, hidden.shape[-1]))
    return keras.Model({**inputs, "positions": positions}, ops.take(flat, positions, axis=0))


def lm_with_response_positions(causal_lm: CausalLM) -> keras.Model:
    """Make the same with the output head: to logits of shape `(responses, vocabulary)`."""
    backbone = backbone_with_response_positions(causal_lm)
    logits = causal_lm.backbone.token_embedding(backbone.output, reverse=True)
    return keras.Model(backbone.input, logits)


class ResponseLoss(keras.losses.Loss):
    """Weighted sum of the cross-entropies of a batch's response tokens.

    It is called with the weights of `data.label_weights`, which are 0 where there is no label.

    Args:
        causal_lm: Whose output head it applies to the hidden states.
        chunked: Whether to compute it by chunks of the vocabulary, with the gradient.
    """

    def __init__(self, causal_lm: CausalLM, *, chunked: bool = True) -> None:
        super().__init__(reduction="sum")
        self._embedding = causal_lm.backbone.token_embedding
        self._cross_entropy = chunked_cross_entropy if chunked else full_cross_entropy

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Compute the loss of each token in nats.

        Args:
            y_true: Labels of shape `(responses,)`, `IGNORED_LABEL` where there is none.
            y_pred: From `backbone_with_response_positions`, of shape `(responses, hidden)`.

        Returns:
            Float32 of shape `(responses,)`.
        """
        labels = ops.cast(ops.where(ops.not_equal(y_true, IGNORED_LABEL), y_true, 0), "int32")
        return self._cross_entropy(self._embedding, y_pred, labels)
