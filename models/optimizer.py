"""AdamW, whose update is one operation for each weight."""

from collections.abc import Sequence
from typing import Any

import keras


def adamw(learning_rate: Any, **arguments: Any) -> keras.optimizers.Optimizer:
    """Keras' AdamW; on TensorFlow with the kernel that TensorFlow has for Adam.

    Keras' own update is fifty operations for each weight: half of the graph of a LoRA training,
    which takes seconds to trace and holds memory. JAX compiles it into few.

    Args:
        learning_rate: A number or a schedule.
        arguments: The others of `keras.optimizers.AdamW`.
    """
    if keras.backend.backend() == "tensorflow":
        return FusedAdamW(learning_rate, **arguments)
    return keras.optimizers.AdamW(learning_rate, **arguments)


class FusedAdamW(keras.optimizers.AdamW):
    """See `adamw`."""

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        if self.weight_decay:
            super()._apply_weight_decay(variables)

    def _backend_update_step(
        self, grads: Sequence[Any], trainable_variables: Sequence[Any], learning_rate: Any
    ) -> None:
        import tensorflow as tf

        step = tf.cast(self.iterations + 1, tf.float32)
        beta_1_power, beta_2_power = self.beta_1**step, self.beta_2**step
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            index = self._get_variable_index(variable)
            tf.raw_ops.ResourceApplyAdam(
                var=variable.value.handle,
                m=self._momentums[index].value.handle,
                v=self._velocities[index].value.handle,
                beta1_power=beta_1_power,
                beta2_power=beta_2_power,
                lr=tf.cast(learning_rate, tf.float32),
                beta1=self.beta_1,
                beta2=self.beta_2,
                epsilon=self.epsilon,
                # That of embeddings has the rows only that were seen.
                grad=tf.convert_to_tensor(gradient),
            )
