"""Transform's preprocessing_fn, and the one place where a prompt becomes a model's text."""

from typing import Any

import tensorflow as tf

from models.features import (
    GEMMA,
    OUTPUT,
    PROMPT,
    PROMPT_TEXT,
    RESPONSE_TEXT,
    TurnTemplate,
    template_for,
)


def format_prompts(prompts: Any, template: TurnTemplate = GEMMA) -> tf.Tensor:
    """Prompts as the model reads them, up to where its response begins.

    Args:
        prompts: String tensor or list of strings, of any shape.
        template: The model family's turn template.

    Returns:
        String tensor of the same shape.
    """
    return tf.strings.join(
        [template.prefix, tf.convert_to_tensor(prompts, tf.string), template.suffix]
    )


def format_responses(outputs: Any, template: TurnTemplate = GEMMA) -> tf.Tensor:
    """Desired outputs as the model is to write them, with the end of its turn."""
    return tf.strings.join([tf.convert_to_tensor(outputs, tf.string), template.end])


def preprocessing_fn(
    inputs: dict[str, tf.Tensor], custom_config: dict[str, Any]
) -> dict[str, tf.Tensor]:
    """Formats the synthetic examples for the Trainer.

    Args:
        inputs: `prompt` and `output`, string tensors of shape `(batch, 1)`; others are dropped.
        custom_config: `preset`, the base model; its family has its own turn template.

    Returns:
        `prompt_text` and `response_text`, string tensors of shape `(batch, 1)`.
    """
    template = template_for(custom_config["preset"])
    return {
        PROMPT_TEXT: format_prompts(inputs[PROMPT], template),
        RESPONSE_TEXT: format_responses(inputs[OUTPUT], template),
    }
