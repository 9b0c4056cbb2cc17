"""The model and the loss that are trained: logits at response positions only."""

from typing import Any

import keras
from keras import ops

from models.data import IGNORED_LABEL
from models.head_loss import losses_of_logits, token_losses


def response_states(causal_lm: Any) -> keras.Model:
    """A model that shares a causal LM's weights and ends where its output head begins.

    The projection on Gemma's 262,144 pieces is half of a training step, and only the positions
    before a response token need it.

    Args:
        causal_lm: A KerasHub causal language model of token inputs.

    Returns:
        A model from `token_ids`, `padding_mask` of shape `(batch, length)` and `positions` of shape
        `(responses,)` in the flattened batch to states of shape `(responses, hidden)`.
    """
    inputs = dict(causal_lm.backbone.input)
    positions = keras.Input(batch_shape=(None,), dtype="int32", name="positions")
    hidden = causal_lm.backbone(inputs)
    flat = ops.reshape(hidden, (-1, hidden.shape[-1]))
    return keras.Model({**inputs, "positions": positions}, ops.take(flat, positions, axis=0))


def response_model(causal_lm: Any) -> keras.Model:
    """The same with the output head: to logits of shape `(responses, vocabulary)`."""
    states = response_states(causal_lm)
    return keras.Model(
        states.input, causal_lm.backbone.token_embedding(states.output, reverse=True)
    )


class ResponseLoss(keras.losses.Loss):
    """Weighted sum of the cross-entropies of a batch's response tokens.

    It is called with the weights of `data.label_weights`, which are 0 where there is no label.

    Args:
        causal_lm: Whose output head it applies to the states.
        trains: Whether a gradient is wanted.
    """

    def __init__(self, causal_lm: Any, *, trains: bool = True) -> None:
        super().__init__(reduction="sum")
        self._embedding = causal_lm.backbone.token_embedding
        self._losses = token_losses if trains else losses_of_logits

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each token in nats.

        Args:
            y_true: Labels of shape `(responses,)`, `IGNORED_LABEL` where there is none.
            y_pred: What `response_states` returned, of shape `(responses, hidden)`.

        Returns:
            Float32 of shape `(responses,)`.
        """
        labels = ops.cast(ops.where(ops.not_equal(y_true, IGNORED_LABEL), y_true, 0), "int32")
        return self._losses(self._embedding, y_pred, labels)
