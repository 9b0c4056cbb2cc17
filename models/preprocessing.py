"""Transform's preprocessing_fn, and the one place where a prompt becomes a model's text."""

import json
import re
from collections.abc import Mapping, Sequence

import tensorflow as tf

from core.conversation import SEVERAL_TURNS, TURN_END, TURN_STARTS
from core.families import GEMMA, chat_template_for
from core.family import ChatTemplate

# Features of the synthetic Examples that are read, and those that Transform writes.
PROMPT, OUTPUT = "prompt", "output"
PROMPT_TEXT, RESPONSE_TEXT = "prompt_text", "response_text"

_BACKSLASH = r"\u005c"
# JSON's escapes of single characters; the backslash comes last, as it is part of all others.
_ESCAPES = {
    json.dumps(character)[1:-1]: character for character in ['"', *map(chr, range(0x20))]
} | {_BACKSLASH: "\\"}


def format_prompts(
    prompts: tf.Tensor | Sequence[str] | str, template: ChatTemplate = GEMMA
) -> tf.Tensor:
    """Format prompts as the model reads them, up to where its response begins.

    It is `ChatTemplate.text` in TensorFlow's own operations, for Transform and the SavedModel.

    Args:
        prompts: String tensor or list of strings, of any shape; see `core.conversation`.
        template: The model family's chat template.

    Returns:
        String tensor of the same shape.
    """
    texts = tf.convert_to_tensor(prompts, tf.string)
    has_turns = tf.strings.regex_full_match(texts, SEVERAL_TURNS)
    for marker, split in template.split_markers.items():
        texts = _replace(texts, marker, split)
    single = tf.strings.join([template.prefix, texts, template.suffix])
    return tf.where(has_turns, _format_turns(texts, template), single)


def _format_turns(texts: tf.Tensor, template: ChatTemplate) -> tf.Tensor:
    """Format prompts that are the JSON of conversations; others become any text."""
    texts = _replace(texts, "\\\\", _BACKSLASH)
    user, assistant = TURN_STARTS["user"], TURN_STARTS["assistant"]
    pieces = {
        re.escape(f"[{user}"): template.prefix,
        re.escape(f"{TURN_END}, {assistant}"): template.suffix,
        re.escape(f"{TURN_END}, {user}"): template.end + template.between + template.prefix,
        re.escape(f"{TURN_END}]") + r"\z": template.suffix,
    }
    for syntax, piece in pieces.items():
        # Escaped like the texts around it, since from here on nothing tells them apart.
        escaped = json.dumps(piece, ensure_ascii=False)[1:-1].replace("\\\\", _BACKSLASH)
        texts = _substitute(texts, syntax, escaped)
    for escape, character in _ESCAPES.items():
        texts = _replace(texts, escape, character)
    return texts


def _replace(texts: tf.Tensor, old: str, new: str) -> tf.Tensor:
    """Replace a text, as `str.replace` does."""
    return _substitute(texts, re.escape(old), new)


def _substitute(texts: tf.Tensor, pattern: str, new: str) -> tf.Tensor:
    return tf.strings.regex_replace(texts, pattern, new.replace("\\", "\\\\"))


def format_responses(
    outputs: tf.Tensor | Sequence[str] | str, template: ChatTemplate = GEMMA
) -> tf.Tensor:
    """Format references as the model is to write them, with the end of its turn."""
    return tf.strings.join([tf.convert_to_tensor(outputs, tf.string), template.end])


def preprocessing_fn(
    inputs: Mapping[str, tf.Tensor], custom_config: Mapping[str, str]
) -> dict[str, tf.Tensor]:
    """Format the synthetic examples for the Trainer.

    Args:
        inputs: `prompt` and `output`, string tensors of shape `(batch, 1)`; others are dropped.
        custom_config: `preset`, the base model, whose family has its own chat template.

    Returns:
        `prompt_text` and `response_text`, string tensors of shape `(batch, 1)`.
    """
    template = chat_template_for(custom_config["preset"])
    return {
        PROMPT_TEXT: format_prompts(inputs[PROMPT], template),
        RESPONSE_TEXT: format_responses(inputs[OUTPUT], template),
    }
