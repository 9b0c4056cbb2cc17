"""A SavedModel from strings to strings, with the tokenizer and the chat template inside.

TensorFlow Serving loads it as it is. Besides TensorFlow's own ops it needs those of TensorFlow Text
for SentencePiece, which TensorFlow Serving links in (`SUPPORTED_TENSORFLOW_OPS` in
https://github.com/tensorflow/serving/blob/master/tensorflow_serving/model_servers/BUILD).
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import keras_hub
import numpy as np
import tensorflow as tf
from keras_hub.models import CausalLM
from keras_hub.tokenizers import Tokenizer

from core.errors import ModelError
from models import data
from models.export.support import check_saved_model
from models.export.verification import Prompt, Verification, Verifier, refusal
from models.preprocessing import format_prompts

VERSION_DIR = "1"  # TensorFlow Serving serves the folder with the highest number
_LOADER = Path(__file__).with_name("saved_model_loader.py")


class _Answers(TypedDict):
    """What the process with the loaded model answers."""

    custom_ops: list[str]
    prompt_texts: list[str]
    responses: list[str]
    finish: list[str]


def export_saved_model(
    model: CausalLM, folder: Path, verifier: Verifier, *, max_output_tokens: int
) -> None:
    """Write a SavedModel with greedy generation.

    Its signatures, all over a batch:

    - `serving_default`: `prompts` to `responses` and `finish` (`stop` or `length`),
    - `with_limit`: the same with `max_output_tokens`, a number for all,
    - `format`: `prompts` to `prompt_texts`, as the model reads them,
    - `next_token_logits`: `prompts` to the `logits` of the first token of each response.

    Args:
        model: One without LoRA, on the TensorFlow backend.
        folder: Local folder; the SavedModel is written to its subfolder `1`.
        verifier: Has the chat template and the stop tokens.
        max_output_tokens: Maximum per response, where the signature has no limit.

    Raises:
        ModelError: See `check_saved_model`.
    """
    check_saved_model(model.preprocessor)
    module = _module(model, verifier, max_output_tokens)
    signatures = {
        "serving_default": module.respond,
        "with_limit": module.respond_with_limit,
        "format": module.format,
        "next_token_logits": module.next_token_logits,
    }
    tf.saved_model.save(module, str(folder / VERSION_DIR), signatures=signatures)


def _module(model: CausalLM, verifier: Verifier, max_output_tokens: int) -> tf.Module:
    tokenizer = model.preprocessor.tokenizer
    start, stops = int(tokenizer.start_token_id), tuple(sorted(verifier.stops))
    end = data.end_token_id(tokenizer, verifier.template)
    finds_end = data.finds_end(tokenizer, verifier.template)
    model.compile(sampler=keras_hub.samplers.GreedySampler(), jit_compile=False)
    prompts_spec = tf.TensorSpec((None,), tf.string, name="prompts")
    limit_spec = tf.TensorSpec((), tf.int32, name="max_output_tokens")

    def tokenize(prompts: tf.Tensor) -> tf.RaggedTensor:
        # SentencePiece has no kernel for a GPU: https://github.com/tensorflow/serving/issues/2016
        with tf.device("CPU"):
            texts = format_prompts(prompts, verifier.template)
            if finds_end:
                ids = tokenizer(texts)
            else:
                # The parts between the ends of earlier responses, each with its end but the last.
                parts = tf.strings.split(texts, verifier.template.end)
                flat = tf.cast(tokenizer(parts.flat_values), tf.int32)
                ends = tf.fill((flat.nrows(), 1), end)
                of_parts = parts.with_flat_values(tf.concat([flat, ends], axis=1))
                ids = of_parts.merge_dims(1, 2)[:, :-1]
            starts = tf.fill((tf.shape(prompts)[0], 1), start)
            return tf.concat([starts, tf.cast(ids, tf.int32)], axis=1)

    def inputs(ids: tf.RaggedTensor, room: tf.Tensor | int) -> dict[str, tf.Tensor]:
        rows = tf.pad(ids.to_tensor(), [[0, 0], [0, room]])
        mask = tf.sequence_mask(tf.cast(ids.row_lengths(), tf.int32), tf.shape(rows)[1])
        return {"token_ids": rows, "padding_mask": mask}

    def finish(
        tokens: tf.Tensor, lengths: tf.Tensor, limit: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Cut responses out of rows of prompt and continuation; return them and their ends."""
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
        def respond_with_limit(
            self, prompts: tf.Tensor, max_output_tokens: tf.Tensor
        ) -> dict[str, tf.Tensor]:
            ids = tokenize(prompts)
            output = model.generate_step(inputs(ids, max_output_tokens), stop_token_ids=stops)
            lengths = tf.cast(ids.row_lengths(), tf.int32)
            responses, ends = finish(output["token_ids"], lengths, max_output_tokens)
            return {"responses": responses, "finish": ends}

        @tf.function(input_signature=[prompts_spec])
        def respond(self, prompts: tf.Tensor) -> dict[str, tf.Tensor]:
            return self.respond_with_limit(prompts, tf.constant(max_output_tokens))

        @tf.function(input_signature=[prompts_spec])
        def format(self, prompts: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"prompt_texts": format_prompts(prompts, verifier.template)}

        @tf.function(input_signature=[prompts_spec])
        def next_token_logits(self, prompts: tf.Tensor) -> dict[str, tf.Tensor]:
            ids = tokenize(prompts)
            hidden = model.backbone(inputs(ids, 0))
            last = tf.gather(hidden, ids.row_lengths() - 1, axis=1, batch_dims=1)
            logits = model.backbone.token_embedding(last[:, None], reverse=True)
            return {"logits": tf.cast(logits[:, 0], tf.float32)}

    return Served()


def verify_saved_model(folder: Path, tokenizer: Tokenizer, verifier: Verifier) -> Verification:
    """Load it in a process with TensorFlow and TensorFlow Text alone, as a server would.

    Raises:
        ModelError: It cannot be loaded, or is another model.
    """
    prompts = verifier.fixed
    found, logits = _load_and_ask(folder / VERSION_DIR, prompts)
    texts = [prompt.formatted for prompt in prompts]
    if found["prompt_texts"] != texts:
        raise refusal(folder.name, "are prompted with another text")
    compared = verifier.compare(folder.name, [of_prompt[None] for of_prompt in logits])
    ties = compared.ties
    for prompt, response in zip(prompts, found["responses"], strict=True):
        ids = [token for token in prompt.continuation if token not in verifier.stops]
        if response != data.decode(ids, tokenizer):
            ties += _tied_tokens(folder.name, prompt, response, tokenizer, verifier)
    tokens = sum(len(prompt.continuation) for prompt in prompts)
    facts = {"custom_ops": found["custom_ops"]}
    return Verification(compared.logit_difference, tokens, ties, facts)


def _tied_tokens(
    name: str,
    prompt: Prompt,
    response: str,
    tokenizer: Tokenizer,
    verifier: Verifier,
) -> int:
    """Return 1 where the texts diverge at a token that rounding decides.

    Raises:
        ModelError: They diverge elsewhere.
    """
    certain = 0  # tokens the response surely begins with: a part of a character may be any
    for number in range(len(prompt.logits)):
        text = data.decode(prompt.continuation[: number + 1], tokenizer)
        if not response.startswith(text.rstrip("\ufffd")):
            break
        if not text.endswith("\ufffd"):
            certain = number + 1
    tops = np.sort(prompt.logits[certain : number + 1], axis=-1)
    if (tops[:, -1] - tops[:, -2]).min() <= verifier.tolerance * verifier.largest_logit:
        return 1
    raise refusal(name, f"answer {prompt.text!r} with {response!r}")


def _load_and_ask(folder: Path, prompts: Sequence[Prompt]) -> tuple[_Answers, data.Array]:
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
            # This process holds all of the accelerator's memory.
            env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1"},
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines()[-1:]
            raise ModelError(
                f"The SavedModel cannot generate: {' '.join(lines)[:800]} Leave saved_model out of "
                "training.exports. The training is kept in its checkpoint and not repeated."
            )
        with np.load(answers, allow_pickle=False) as stored:
            logits = stored["logits"]
        return json.loads(done.stdout.splitlines()[-1]), logits
