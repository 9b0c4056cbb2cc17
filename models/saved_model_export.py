"""A SavedModel from strings to strings, with the tokenizer and the turn template inside.

TensorFlow Serving loads it as it is. Besides TensorFlow's own ops it needs those of TensorFlow Text
for SentencePiece, which TensorFlow Serving links in (`SUPPORTED_TENSORFLOW_OPS` in
https://github.com/tensorflow/serving/blob/master/tensorflow_serving/model_servers/BUILD).
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import ModelError
from models.verification import Prompt, Verification, Verifier, refusal

VERSION_DIR = "1"  # TensorFlow Serving serves the folder with the highest number
_LOADER = Path(__file__).with_name("saved_model_loader.py")


def check_saved_model(preprocessor: Any) -> None:
    """Raise unless a model's tokenizer can be part of a SavedModel.

    Raises:
        ModelError: It cannot, on this backend or at all.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise ModelError(
            f"A SavedModel is written with KERAS_BACKEND=tensorflow, not {keras.backend.backend()}."
            " Leave saved_model out of training.exports."
        )
    if getattr(preprocessor.tokenizer, "proto", None) is None:
        # KerasHub's byte-pair tokenizer splits by another pattern in a graph: GPT-2's, not Llama's.
        raise ModelError(
            f"{type(preprocessor.tokenizer).__name__} splits text otherwise inside a SavedModel "
            "than in training. Leave saved_model out of training.exports for Llama 3; "
            "vLLM and TGI serve the transformers checkpoint."
        )


def export_saved_model(
    model: Any, folder: Path, verifier: Verifier, *, max_output_tokens: int
) -> None:
    """Write a SavedModel with greedy generation.

    Its signatures, all over a batch:

    - `serving_default`: `prompts` to `responses` and `finish` (`stop` or `length`),
    - `with_limit`: the same with `max_output_tokens`, a number for all,
    - `format`: `prompts` to `prompt_texts`, as the model reads them,
    - `next_token_logits`: `prompts` to the `logits` of the first token of each response.

    Args:
        model: A KerasHub causal language model without LoRA, on the TensorFlow backend.
        folder: Local folder; the SavedModel is written to its subfolder `1`.
        verifier: Knows how the model is prompted and where it stops.
        max_output_tokens: Of a response, where the signature has no limit.

    Raises:
        ModelError: See `check_saved_model`.
    """
    import tensorflow as tf

    check_saved_model(model.preprocessor)
    module = _module(model, verifier, max_output_tokens)
    signatures = {
        "serving_default": module.respond,
        "with_limit": module.respond_with_limit,
        "format": module.format,
        "next_token_logits": module.next_token_logits,
    }
    tf.saved_model.save(module, str(folder / VERSION_DIR), signatures=signatures)


def _module(model: Any, verifier: Verifier, max_output_tokens: int) -> Any:
    import keras_hub
    import tensorflow as tf

    from models.preprocessing import format_prompts

    tokenizer = model.preprocessor.tokenizer
    start, stops = int(tokenizer.start_token_id), tuple(sorted(verifier.stops))
    model.compile(sampler=keras_hub.samplers.GreedySampler(), jit_compile=False)
    prompts_spec = tf.TensorSpec((None,), tf.string, name="prompts")
    limit_spec = tf.TensorSpec((), tf.int32, name="max_output_tokens")

    def tokenize(prompts: Any) -> Any:
        # SentencePiece has no kernel for a GPU: https://github.com/tensorflow/serving/issues/2016
        with tf.device("CPU"):
            ids = tokenizer(format_prompts(prompts, verifier.template))
            starts = tf.fill((tf.shape(prompts)[0], 1), start)
            return tf.concat([starts, tf.cast(ids, tf.int32)], axis=1)

    def finish(tokens: Any, lengths: Any, limit: Any) -> tuple[Any, Any]:
        """Responses and how they ended, of rows of prompt, response and what is after it."""
        columns = tf.range(tf.shape(tokens)[1])[None, :]
        is_response = (columns >= lengths[:, None]) & (columns < lengths[:, None] + limit)
        is_stop = tf.reduce_any(tokens[..., None] == tf.constant(stops), axis=-1) & is_response
        is_before_stop = tf.cumsum(tf.cast(is_stop, tf.int32), axis=1) == 0
        with tf.device("CPU"):
            ragged = tf.ragged.boolean_mask(tokens, is_response & is_before_stop)
            texts = tokenizer.detokenize(ragged)
        is_whole = tf.reduce_any(is_stop, axis=1)
        return texts, tf.where(is_whole, tf.constant("stop"), tf.constant("length"))

    class Served(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = (model, tokenizer._sentence_piece)

        @tf.function(input_signature=[prompts_spec, limit_spec])
        def respond_with_limit(self, prompts: Any, max_output_tokens: Any) -> dict[str, Any]:
            ids = tokenize(prompts)
            lengths = tf.cast(ids.row_lengths(), tf.int32)
            rows = tf.pad(ids.to_tensor(), [[0, 0], [0, max_output_tokens]])
            mask = tf.sequence_mask(lengths, tf.shape(rows)[1])
            inputs = {"token_ids": rows, "padding_mask": mask}
            tokens = model.generate_step(inputs, stop_token_ids=stops)["token_ids"]
            responses, ends = finish(tokens, lengths, max_output_tokens)
            return {"responses": responses, "finish": ends}

        @tf.function(input_signature=[prompts_spec])
        def respond(self, prompts: Any) -> dict[str, Any]:
            return self.respond_with_limit(prompts, tf.constant(max_output_tokens))

        @tf.function(input_signature=[prompts_spec])
        def format(self, prompts: Any) -> dict[str, Any]:
            return {"prompt_texts": format_prompts(prompts, verifier.template)}

        @tf.function(input_signature=[prompts_spec])
        def next_token_logits(self, prompts: Any) -> dict[str, Any]:
            ids = tokenize(prompts)
            lengths = tf.cast(ids.row_lengths(), tf.int32)
            rows = ids.to_tensor()
            mask = tf.sequence_mask(lengths, tf.shape(rows)[1])
            hidden = model.backbone({"token_ids": rows, "padding_mask": mask})
            last = tf.gather(hidden, lengths - 1, axis=1, batch_dims=1)
            logits = model.backbone.token_embedding(last[:, None], reverse=True)
            return {"logits": tf.cast(logits[:, 0], tf.float32)}

    return Served()


def verify_saved_model(folder: Path, tokenizer: Any, verifier: Verifier) -> Verification:
    """Load it in a process with TensorFlow and TensorFlow Text alone, as a server would.

    Args:
        folder: What `export_saved_model` wrote.
        tokenizer: The trained model's.
        verifier: What the trained model computes.

    Raises:
        ModelError: It cannot be loaded, or is another model.
    """
    prompts = verifier.fixed
    found = _load_and_ask(folder / VERSION_DIR, prompts)
    texts = [prompt.formatted for prompt in prompts]
    if found["prompt_texts"] != texts:
        raise refusal(folder.name, "are prompted with another text")
    compared = verifier.compare(folder.name, [logits[None] for logits in found["logits"]])
    ties = compared.ties
    for prompt, response in zip(prompts, found["responses"], strict=True):
        if response != response_text(prompt, tokenizer, verifier.stops):
            ties += _tied_tokens(folder.name, prompt, response, tokenizer, verifier)
    tokens = sum(len(prompt.continuation) for prompt in prompts)
    facts = {"custom_ops": found["custom_ops"]}
    return Verification(compared.logit_difference, tokens, ties, facts)


def response_text(prompt: Prompt, tokenizer: Any, stops: set[int]) -> str:
    """The text of a prompt's continuation, without what ends a turn."""
    ids = [token for token in prompt.continuation if token not in stops]
    text = tokenizer.detokenize(np.array(ids, "int32")) if ids else ""
    text = text.numpy() if hasattr(text, "numpy") else text
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def _tied_tokens(
    name: str, prompt: Prompt, response: str, tokenizer: Any, verifier: Verifier
) -> int:
    """1 where the texts part at a token that rounding decides.

    Raises:
        ModelError: They part elsewhere.
    """
    certain = 0  # tokens that the response begins with for sure: a part of a character may be any
    for number in range(len(prompt.logits)):
        ids = np.array(prompt.continuation[: number + 1], "int32")
        text = str(tokenizer.detokenize(ids))
        if not response.startswith(text.rstrip("\ufffd")):
            break
        if not text.endswith("\ufffd"):
            certain = number + 1
    tops = np.sort(prompt.logits[certain : number + 1], axis=-1)
    if (tops[:, -1] - tops[:, -2]).min() <= verifier.tolerance * verifier.largest_logit:
        return 1
    raise refusal(name, f"answer {prompt.text!r} with {response!r}")


def _load_and_ask(folder: Path, prompts: tuple[Prompt, ...]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        answers = Path(scratch) / "answers.npz"
        request = {
            "folder": str(folder),
            "answers": str(answers),
            "prompts": [prompt.text for prompt in prompts],
            "limits": [len(prompt.continuation) for prompt in prompts],
        }
        done = subprocess.run(
            [sys.executable, str(_LOADER)],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            check=False,
            # The accelerator's memory is this process's, down to the last byte.
            env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1"},
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines()[-1:]
            raise ModelError(
                f"The SavedModel does not answer: {' '.join(lines)[:800]} Leave saved_model out of "
                "training.exports. The training is kept in its checkpoint and not repeated."
            )
        with np.load(answers, allow_pickle=False) as stored:
            logits = stored["logits"]
        return json.loads(done.stdout.splitlines()[-1]) | {"logits": logits}
