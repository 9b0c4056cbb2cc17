"""A model's responses to prompts: batched, sorted by length, compiled once."""

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models import data, gemma
from models.backend import leave_accelerators
from models.checksums import check_files
from models.distribution import distributed, divided
from models.export import PRESET_DIR
from models.features import (
    GEMMA,
    GENERATION_FILE,
    TurnTemplate,
    follows_instructions,
    template_for,
)
from models.files import local_copy
from models.prefix import begins_with, begun_with, prefix_cache, shared_prefix
from models.preprocessing import format_prompts
from models.projections import fast_projections

_progress = logging.getLogger("understudy.progress")

_LENGTH_MULTIPLE = 64

Sample = tuple[str, str]  # response, "stop" or "length"


def generate_fn(
    *, model_dir: str, preset: str, prompts: list[str], settings: dict[str, Any]
) -> list[list[Sample]]:
    """Answers prompts with a tuned or a base model.

    Args:
        model_dir: What the Trainer wrote, a local folder or `gs://` URI; empty for a base model.
        preset: The base model, see `TrainHParams.preset`; empty for a tuned one.
        prompts: Raw prompts; they are formatted here, by the function that Transform uses.
        settings: `max_output_tokens`, `batch_size`, `samples`, `temperature`, `seed`, `dtype`,
            `cache_dir`; `sequence_length`, `distribution` and `model_parallel` may be missing.
            `few_shot`: the prompts hold examples, and a base model that was not tuned to
            instructions continues them as plain text.

    Returns:
        For each prompt its samples: the response without the end of turn, and `stop` when the model
        ended its turn or `length` when it was cut off.

    Raises:
        ModelError: The model cannot be loaded, or not on this machine's accelerators.
    """
    leave_accelerators()
    with distributed(
        settings.get("distribution", "none"),
        settings.get("model_parallel"),
        settings["batch_size"],
    ):
        answers = _generate(model_dir, preset, prompts, settings)
    gemma.free_memory()
    return answers


def _generate(
    model_dir: str, preset: str, prompts: list[str], settings: dict[str, Any]
) -> list[list[Sample]]:
    dtype = gemma.resolve_dtype(settings["dtype"])
    if model_dir:
        check_files(model_dir, GENERATION_FILE, PRESET_DIR)
        with tf.io.gfile.GFile(os.path.join(model_dir, GENERATION_FILE), "r") as file:
            template = TurnTemplate.from_json(file.read())
        with local_copy(os.path.join(model_dir, PRESET_DIR)) as folder:
            model = gemma.load_model(folder, dtype)
    else:
        template = template_for(preset)
        if settings.get("few_shot") and not follows_instructions(preset):
            # It knows no turns, but goes on with a text: a pattern of messages and answers.
            template = TurnTemplate(prefix="", suffix="", end=template.end)
        model = gemma.load_model(gemma.resolve_preset(preset, settings["cache_dir"]), dtype)
    generator = Generator(model, template, settings["temperature"], settings["seed"])
    samples = [
        generator.respond(prompts, settings["max_output_tokens"], settings["batch_size"])
        for _ in range(settings["samples"])
    ]
    return [list(of_prompt) for of_prompt in zip(*samples, strict=True)]


class Generator:
    """Generates with one model; its compiled program is kept from batch to batch.

    Args:
        model: A KerasHub causal language model.
        template: How the model is prompted.
        temperature: 0 takes the likeliest token always.
        seed: Seed number of the sampling.

    Raises:
        ModelError: The model has no token for the template's end of turn.
    """

    def __init__(
        self, model: Any, template: TurnTemplate = GEMMA, temperature: float = 0.0, seed: int = 0
    ) -> None:
        self._model = model
        self._can_share = keras.backend.backend() == "tensorflow"
        self._tokenizer = model.preprocessor.tokenizer
        self._template = template
        end = data.end_token_id(self._tokenizer, template)
        self._stop_ids = (self._tokenizer.end_token_id, end)
        sampler = keras_sampler(temperature, seed)
        model.compile(sampler=sampler, jit_compile=False)
        self._model = model
        self._step = _compiled_step(model, self._stop_ids)

    def respond(
        self, prompts: Sequence[str], max_output_tokens: int, batch_size: int
    ) -> list[Sample]:
        """One response for each prompt.

        Args:
            prompts: Raw prompts.
            max_output_tokens: Tokens of a response at most.
            batch_size: Prompts answered at once.

        Returns:
            Response and finish of each prompt, in the order of the prompts.
        """
        texts = [t.decode() for t in format_prompts(list(prompts), self._template).numpy()]
        start = self._tokenizer.start_token_id
        tokens = [[start, *ids] for ids in data.encode(texts, self._tokenizer)]
        answers: dict[int, Sample] = {}
        started = time.monotonic()
        with fast_projections(self._model):
            for group, begun in self._batches(tokens, batch_size):
                rows = [tokens[i] for i in group]
                # A short last batch is filled up, so that its shape is that of the others.
                rows += [rows[-1]] * (batch_size - len(rows))
                generated = self._generate(rows, max_output_tokens, *begun)
                answers.update(zip(group, generated, strict=False))
                _report(len(answers), len(tokens), started)
        return [answers[i] for i in range(len(tokens))]

    def _batches(
        self, tokens: list[list[int]], batch_size: int
    ) -> Iterator[tuple[list[int], list[Any]]]:
        """Numbers of the rows of each batch, with the cache of what they all begin with, if any."""
        # Rows of one batch run until the last one stops: similar lengths waste least.
        order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))
        prefix = shared_prefix(tokens) if self._can_share else []
        alike = [i for i in order if prefix and begins_with(tokens[i], prefix)]
        begun = [prefix_cache(self._model, prefix)] if alike else []
        left = set(order) - set(alike)
        others = [i for i in order if i in left]
        for part, cache in ((alike, begun), (others, [])):
            for first in range(0, len(part), batch_size):
                yield part[first : first + batch_size], cache

    def _generate(self, rows: list[list[int]], max_output_tokens: int, *begun: Any) -> list[Sample]:
        length = max(map(len, rows)) + max_output_tokens
        if keras.backend.backend() != "tensorflow":  # which alone compiles once for all lengths
            length = -(-length // _LENGTH_MULTIPLE) * _LENGTH_MULTIPLE
        token_ids = np.zeros((len(rows), length), "int32")
        padding_mask = np.zeros((len(rows), length), "bool")
        for i, row in enumerate(rows):
            token_ids[i, : len(row)] = row
            padding_mask[i, : len(row)] = True
        output = keras.ops.convert_to_numpy(self._step(token_ids, padding_mask, *begun))
        return [
            self._decode([int(t) for t in ids[len(row) : len(row) + max_output_tokens]])
            for ids, row in zip(output, rows, strict=True)
        ]

    def _decode(self, ids: list[int]) -> Sample:
        stop = next((i for i, token in enumerate(ids) if token in self._stop_ids), None)
        text = self._tokenizer.detokenize(np.array(ids[:stop], "int32"))
        return str(_as_text(text)), "length" if stop is None else "stop"


def keras_sampler(temperature: float, seed: int) -> Any:
    """KerasHub's sampler for a temperature."""
    import keras_hub

    if temperature == 0:
        return keras_hub.samplers.GreedySampler()
    return keras_hub.samplers.RandomSampler(seed=seed, temperature=temperature)


def _compiled_step(model: Any, stop_ids: tuple[int, ...]) -> Callable[..., Any]:
    """KerasHub's generation loop as a function of `token_ids` and `padding_mask`.

    On TensorFlow it takes a third argument, the cache of a prefix that all rows begin with.
    """
    if keras.backend.backend() != "tensorflow":
        function = model.make_generate_function()
        return lambda token_ids, padding_mask: function(
            divided({"token_ids": token_ids, "padding_mask": padding_mask}), stop_token_ids=stop_ids
        )["token_ids"]

    # Of unknown length, so that one trace (16 to 30 s) serves batches of all lengths.
    tokens = [tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None, None), tf.bool)]

    @tf.function(input_signature=tokens)
    def step(token_ids: Any, padding_mask: Any) -> Any:
        inputs = {"token_ids": token_ids, "padding_mask": padding_mask}
        return model.generate_step(inputs, stop_token_ids=stop_ids)["token_ids"]

    @tf.function(autograph=False)  # it would warn of the context below, and has nothing to convert
    def step_after_prefix(token_ids: Any, padding_mask: Any, cache: Any) -> Any:
        inputs = {"token_ids": token_ids, "padding_mask": padding_mask}
        with begun_with(model, cache):
            return model.generate_step(inputs, stop_token_ids=stop_ids)["token_ids"]

    def either(token_ids: Any, padding_mask: Any, *begun: Any) -> Any:
        if not begun:
            return step(token_ids, padding_mask)
        (cache,) = begun
        traced = step_after_prefix.get_concrete_function(*tokens, _of_any_prefix(cache))
        return traced(tf.constant(token_ids), tf.constant(padding_mask), cache)

    return either


def _of_any_prefix(cache: Any) -> tf.TensorSpec:
    shape = [*cache.shape]
    shape[3] = None
    return tf.TensorSpec(shape, cache.dtype)


def _as_text(value: Any) -> str:
    value = value.numpy() if hasattr(value, "numpy") else value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _report(done: int, total: int, started: float) -> None:
    left = (time.monotonic() - started) / done * (total - done)
    _progress.info(
        "generating",
        extra={
            "progress": {
                "done": done,
                "total": total,
                "unit": "responses",
                "seconds_left": round(left),
            }
        },
    )
