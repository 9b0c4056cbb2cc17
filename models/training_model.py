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
        `(responses,)` in the flattened batch to logits of shape `(responses, vocabulary)`.
    """
    inputs = dict(causal_lm.backbone.input)
    positions = keras.Input(batch_shape=(None,), dtype="int32", name="positions")
    hidden = causal_lm.backbone(inputs)
    flat = ops.reshape(hidden, (-1, hidden.shape[-1]))
    logits = causal_lm.backbone.token_embedding(ops.take(flat, positions, axis=0), reverse=True)
    return keras.Model({**inputs, "positions": positions}, logits)


class ResponseLoss(keras.losses.Loss):
    """Weighted sum of the cross-entropies of a batch's response tokens.

    It is called with the weights of `data.label_weights`, which are 0 where there is no label.
    """

    def __init__(self) -> None:
        super().__init__(reduction="sum")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each token in nats.

        Args:
            y_true: Labels of shape `(responses,)`, `IGNORED_LABEL` where there is none.
            y_pred: Logits of shape `(responses, vocabulary)`.

        Returns:
            Float32 of shape `(responses,)`.
        """
        labels = ops.cast(ops.where(ops.not_equal(y_true, IGNORED_LABEL), y_true, 0), "int32")
        # The backend's own op: the gradient of logsumexp and a gather takes three times as long.
        return ops.sparse_categorical_crossentropy(labels, y_pred, from_logits=True)
