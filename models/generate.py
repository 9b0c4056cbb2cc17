"""A model's responses to prompts: batched, sorted by length, compiled once."""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from models import data, gemma
from models.backend import leave_accelerators
from models.checksums import check_files
from models.decoding import CachedDecoder, decoder
from models.distribution import distributed
from models.export import PRESET_DIR
from models.features import (
    GEMMA,
    GENERATION_FILE,
    TurnTemplate,
    follows_instructions,
    template_for,
)
from models.files import local_copy
from models.memory import free_memory
from models.prefix import begins_with, shared_prefix
from models.preprocessing import format_prompts
from models.projections import fast_projections

_progress = logging.getLogger("understudy.progress")

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
    free_memory()
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
        self._tokenizer = model.preprocessor.tokenizer
        self._template = template
        end = data.end_token_id(self._tokenizer, template)
        self._stop_ids = (self._tokenizer.end_token_id, end)
        self._decoder = decoder(model, self._stop_ids, temperature, seed)

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
        with fast_projections(self._model), self._decoder.ready():
            for group, generated in self._generated(tokens, max_output_tokens, batch_size):
                answers.update(zip(group, map(self._decode, generated), strict=True))
                _report(len(answers), len(tokens), started)
        return [answers[i] for i in range(len(tokens))]

    def _generated(
        self, tokens: list[list[int]], max_output_tokens: int, batch_size: int
    ) -> Iterator[tuple[list[int], list[list[int]]]]:
        """Numbers of the rows of each batch, and what they go on with."""
        # Rows of one batch run until the last one stops: similar lengths waste least.
        order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))
        if isinstance(self._decoder, CachedDecoder) and (prefix := shared_prefix(tokens)):
            begun = self._decoder.prefix(prefix)
            alike = [i for i in order if begins_with(tokens[i], prefix)]
            for group in _groups(alike, batch_size):
                rows = [tokens[i][len(prefix) :] for i in group]
                yield group, self._decoder(rows, max_output_tokens, begun)
            order = [i for i in order if not begins_with(tokens[i], prefix)]
        for group in _groups(order, batch_size):
            rows = [tokens[i] for i in group]
            # A short last batch is filled up, so that its shape is that of the others.
            missing = batch_size - len(rows) if self._decoder.compiles_shapes else 0
            generated = self._decoder(rows + [rows[-1]] * missing, max_output_tokens)
            yield group, generated[: len(group)]

    def _decode(self, ids: list[int]) -> Sample:
        stop = next((i for i, token in enumerate(ids) if token in self._stop_ids), None)
        text = self._tokenizer.detokenize(np.array(ids[:stop], "int32"))
        return str(_as_text(text)), "length" if stop is None else "stop"


def _groups(numbers: list[int], size: int) -> Iterator[list[int]]:
    for first in range(0, len(numbers), size):
        yield numbers[first : first + size]


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
