"""The model and the loss that are trained: logits at response positions only."""

from typing import Any

import keras
from keras import ops

from models.data import IGNORED_LABEL


def response_model(causal_lm: Any) -> keras.Model:
    """A model that shares a causal LM's weights and predicts the response tokens only.

    The projection on Gemma's 262,144 pieces is half of a training step, and only the positions
    before a response token need it.

    Args:
        causal_lm: A KerasHub causal language model of token inputs.

    Returns:
        A model from `token_ids`, `padding_mask` of shape `(batch, length)` and `positions` of shape
        `(batch, responses)` to logits of shape `(batch, responses, vocabulary)`.
    """
    inputs = dict(causal_lm.backbone.input)
    positions = keras.Input((None,), dtype="int32", name="positions")
    hidden = causal_lm.backbone(inputs)
    at_positions = ops.take_along_axis(hidden, positions[..., None], axis=1)
    logits = causal_lm.backbone.token_embedding(at_positions, reverse=True)
    return keras.Model({**inputs, "positions": positions}, logits)


class ResponseLoss(keras.losses.Loss):
    """Mean cross-entropy over the response tokens of a batch; padding has no part in it."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss in nats per token.

        Args:
            y_true: Labels of shape `(batch, responses)`, `IGNORED_LABEL` where there is none.
            y_pred: Logits of shape `(batch, responses, vocabulary)`.

        Returns:
            A float32 scalar.
        """
        is_label = ops.not_equal(y_true, IGNORED_LABEL)
        labels = ops.cast(ops.where(is_label, y_true, 0), "int32")
        # The backend's own op: the gradient of logsumexp and a gather takes three times as long.
        losses = ops.sparse_categorical_crossentropy(labels, y_pred, from_logits=True)
        losses = ops.where(is_label, losses, 0.0)
        count = ops.sum(ops.cast(is_label, "float32"))
        return ops.sum(losses) / ops.maximum(count, 1.0)
