"""A model's responses to prompts: batched, sorted by length, compiled once."""

import dataclasses
import os
import time
from collections.abc import Iterator, Sequence
from typing import NotRequired, TypedDict

import tensorflow as tf
from keras_hub.models import CausalLM

from core import artifact_files
from core.families import GEMMA, chat_template_for, follows_instructions
from core.family import ChatTemplate
from core.optimizations import GenerationOptimizations
from core.progress import progress
from core.reports.operation import BatchSeconds, GenerationTimes
from core.room import MAX_OUTPUT_TOKENS, with_head_room
from core.timed_answers import Sample, TimedAnswers
from models import data
from models.backend import leave_accelerators
from models.checksums import check_files
from models.control_tokens import with_control_tokens
from models.distribution import distributed
from models.files import local_copy
from models.generation.decoding import ALL_ON, CachedDecoder, Caches, make_decoder
from models.generation.prefix import begins_with, shared_prefix
from models.loading.load import load_model, resolve_dtype, resolve_preset
from models.memory import free_memory
from models.preprocessing import format_prompts
from models.tensorflow_patches.lora_forward import lora_forward


class Settings(TypedDict):
    """How to generate; the fields of `GenerationSettings`."""

    max_output_tokens: int | None  # None: as `references` need
    batch_size: int
    samples: int
    temperature: float
    seed: int
    dtype: str
    cache_dir: str
    references: NotRequired[list[str]]  # the longest ones
    sequence_length: NotRequired[int]
    distribution: NotRequired[str]
    model_parallel: NotRequired[int | None]
    few_shot: NotRequired[int]
    optimizations: NotRequired[dict[str, bool]]


def generate_fn(
    *, model_dir: str, preset: str, prompts: list[str], settings: Settings
) -> TimedAnswers:
    """Answer prompts with a tuned or a base model.

    Args:
        model_dir: Output of the Trainer, a local folder or `gs://` URI; empty for a base model.
        preset: The base model, see `TrainHParams.preset`; empty for a tuned one.
        prompts: Raw prompts, see `core.conversation`; they are formatted here, by the function that
            Transform uses.
        settings: With `few_shot` the prompts hold examples, and a base model that was not tuned to
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


def _generate(model_dir: str, preset: str, prompts: list[str], settings: Settings) -> TimedAnswers:
    dtype = resolve_dtype(settings["dtype"])
    optimizations = GenerationOptimizations.model_validate(settings.get("optimizations", {}))
    if model_dir:
        check_files(model_dir, artifact_files.GENERATION, artifact_files.PRESET_FOLDER)
        with tf.io.gfile.GFile(os.path.join(model_dir, artifact_files.GENERATION), "r") as file:
            template = ChatTemplate.from_json(file.read())
        with local_copy(os.path.join(model_dir, artifact_files.PRESET_FOLDER)) as folder:
            model = load_model(folder, dtype, optimizations=optimizations)
    else:
        template = chat_template_for(preset)
        if settings.get("few_shot") and not follows_instructions(preset):
            # It knows no turns, but continues a text: a pattern of messages and answers.
            template = dataclasses.replace(template, prefix="", suffix="")
        folder = resolve_preset(preset, settings["cache_dir"])
        model = load_model(folder, dtype, optimizations=optimizations)
        template = with_control_tokens(template, model.preprocessor.tokenizer)
    temperature, seed = settings["temperature"], settings["seed"]
    generator = Generator(model, template, temperature, seed, optimizations)
    limit = settings["max_output_tokens"] or generator.room_for(settings["references"])
    samples = [
        generator.respond(prompts, limit, settings["batch_size"])
        for _ in range(settings["samples"])
    ]
    of_prompts = [list(of_prompt) for of_prompt in zip(*samples, strict=True)]
    return TimedAnswers(of_prompts, generator.times(settings["batch_size"]))


class Generator:
    """Generates with one model; its compiled program is kept from batch to batch.

    Args:
        model: The model that generates.
        template: How the model is prompted.
        temperature: 0 always takes the likeliest token.
        seed: Of the sampling.
        optimizations: Changes to Keras' behaviour.

    Raises:
        ModelError: The model has no token for the template's end of turn.
    """

    def __init__(
        self,
        model: CausalLM,
        template: ChatTemplate = GEMMA,
        temperature: float = 0.0,
        seed: int = 0,
        optimizations: GenerationOptimizations = ALL_ON,
    ) -> None:
        self._model = model
        self._tokenizer = model.preprocessor.tokenizer
        self._template = template
        end = data.end_token_id(self._tokenizer, template)
        self._stop_ids = (self._tokenizer.end_token_id, end)
        self._decoder = make_decoder(model, self._stop_ids, temperature, seed, optimizations)
        self._optimizations = optimizations
        self._batches: list[BatchSeconds] = []
        self._compiled: dict[int, int] = {}  # responses of the first batch of each program

    def times(self, batch_size: int) -> GenerationTimes:
        """Return how long the batches so far took."""
        return GenerationTimes(
            batch_size=batch_size,
            batches=tuple(self._batches),
            left_out=sum(self._compiled.values()),
        )

    def room_for(self, references: Sequence[str]) -> int:
        """Return the tokens that responses like these take at most, with the end of the turn."""
        longest = max(map(len, data.encode(references, self._tokenizer)))
        return with_head_room(longest + 1, MAX_OUTPUT_TOKENS)

    def respond(
        self, prompts: Sequence[str], max_output_tokens: int, batch_size: int
    ) -> list[Sample]:
        """Generate one response for each prompt.

        Returns:
            Response and finish of each prompt, in the order of the prompts.
        """
        texts = [t.decode() for t in format_prompts(list(prompts), self._template).numpy()]
        start = data.start_tokens(self._tokenizer)
        encoded = data.encode_prompts(texts, self._tokenizer, self._template)
        tokens = [[*start, *ids] for ids in encoded]
        answers: dict[int, Sample] = {}
        started = time.monotonic()
        forward = lora_forward(self._model, enabled=self._optimizations.lora_forward)
        with forward, self._decoder.ready():
            for group, generated in self._generated(tokens, max_output_tokens, batch_size):
                answers.update(zip(group, map(self._decode, generated), strict=True))
                _report(len(answers), len(tokens), started)
        return [answers[i] for i in range(len(tokens))]

    def _generated(
        self, tokens: list[list[int]], max_output_tokens: int, batch_size: int
    ) -> Iterator[tuple[list[int], list[list[int]]]]:
        """Yield the indices of the rows of each batch, and their continuations."""
        # Rows of one batch run until the last one stops: similar lengths waste least.
        order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))
        if isinstance(self._decoder, CachedDecoder) and (prefix := shared_prefix(tokens)):
            caches = self._decoder.prefix(prefix)
            alike = [i for i in order if begins_with(tokens[i], prefix)]
            for group in _groups(alike, batch_size):
                rows = [tokens[i][len(prefix) :] for i in group]
                yield group, self._timed(rows, max_output_tokens, len(group), caches)
            order = [i for i in order if not begins_with(tokens[i], prefix)]
        for group in _groups(order, batch_size):
            rows = [tokens[i] for i in group]
            # A short last batch is filled up, so that its shape is that of the others.
            missing = batch_size - len(rows) if self._decoder.compiles_shapes else 0
            rows += [rows[-1]] * missing
            generated = self._timed(rows, max_output_tokens, len(group))
            yield group, generated[: len(group)]

    def _timed(
        self, rows: list[list[int]], max_output_tokens: int, responses: int, *caches: Caches
    ) -> list[list[int]]:
        """Continue the rows of a batch, and note how long that took."""
        started = time.monotonic()
        generated = self._decoder(rows, max_output_tokens, *caches)
        seconds = round(time.monotonic() - started, 4)
        program = self._decoder.program(rows, max_output_tokens)
        if program in self._compiled:
            self._batches.append(BatchSeconds(responses=responses, seconds=seconds))
        else:
            self._compiled[program] = responses
        return generated

    def _decode(self, ids: list[int]) -> Sample:
        stop = next((i for i, token in enumerate(ids) if token in self._stop_ids), None)
        text = data.decode(ids[:stop], self._tokenizer)
        return text, "length" if stop is None else "stop"


def _groups(numbers: list[int], size: int) -> Iterator[list[int]]:
    for first in range(0, len(numbers), size):
        yield numbers[first : first + size]


def _report(done: int, total: int, started: float) -> None:
    seconds_left = round((time.monotonic() - started) / done * (total - done))
    state = {"done": done, "total": total, "unit": "responses", "seconds_left": seconds_left}
    progress.info("generating", extra={"progress": state})
