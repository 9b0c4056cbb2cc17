"""AdamW whose update is one operation per weight."""

from collections.abc import Sequence

import keras
import tensorflow as tf


def adamw(
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
    *,
    fused: bool = True,
    **arguments: float | None,
) -> keras.optimizers.Optimizer:
    """Make Keras' AdamW, on TensorFlow with TensorFlow's Adam kernel.

    Keras' own update is fifty operations per weight: half of the graph of a LoRA training, which
    takes seconds to trace and holds memory. JAX compiles it into few.
    """
    is_fused = fused and keras.backend.backend() == "tensorflow"
    return (FusedAdamW if is_fused else keras.optimizers.AdamW)(learning_rate, **arguments)


class FusedAdamW(keras.optimizers.AdamW):
    """See `adamw`."""

    def _apply_weight_decay(self, variables: Sequence[keras.Variable]) -> None:
        if self.weight_decay:
            super()._apply_weight_decay(variables)

    def _backend_update_step(
        self,
        grads: Sequence[tf.Tensor | tf.IndexedSlices],
        trainable_variables: Sequence[keras.Variable],
        learning_rate: tf.Tensor,
    ) -> None:
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
                # That of embeddings has only the rows that occurred.
                grad=tf.convert_to_tensor(gradient),
            )
