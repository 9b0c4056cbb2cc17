"""The process that `benchmarks.ablation` measures: a training or a generation, with switches."""

import importlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from benchmarks import gemma as shared
from benchmarks import processes

ALL_ON, ALL_OFF, AS_IT_COMES = "all on", "all off", "KerasHub as it comes"
_BATCHES = 8
_BATCH = 4
_RANK = 8
_LEARNING_RATE = 1e-3
_PROMPTS, _PROMPTS_AT_ONCE, _MAX_OUTPUT_TOKENS = 32, 8, 32


def write_job(path: Path, preset: str) -> None:
    """Write what all processes train on and answer."""
    from core.families import GEMMA
    from models import data
    from models.loading.load import load_model, resolve_preset
    from task.coverage.reader import read_coverage

    pairs = read_coverage("data/coverage/support_triage")
    texts = [(f"{GEMMA.prefix}{p.prompt}{GEMMA.suffix}", f"{p.output}{GEMMA.end}") for p in pairs]
    model = load_model(resolve_preset(preset, shared.CACHE_DIR), "float32")
    rows = data.tokenize(texts, model.preprocessor.tokenizer, None).rows
    by_tokens = {row.tokens: text for row, text in zip(rows, texts, strict=True)}
    groups = data.groups(rows, _BATCH, np.random.default_rng(0))
    batches = [group for group in groups if len(group) == _BATCH][:_BATCHES]
    job = {
        "preset": preset,
        "batches": [[(row.tokens, row.response_start) for row in part] for part in batches],
        "texts": [[by_tokens[row.tokens] for row in part] for part in batches],
        "prompts": [pair.prompt for pair in pairs[:_PROMPTS]],
    }
    path.write_text(json.dumps(job), encoding="utf-8")


def switches(kind: type[Any], variant: str) -> Any:
    """Return the optimizations of a variant: all, none, or all but one."""
    if variant == ALL_ON:
        return kind()
    names = list(kind.model_fields)
    return kind(**{name: False for name in names if variant in (name, ALL_OFF)})


def main() -> None:
    """Measure, and print the figures as JSON: `WORK VARIANT DTYPE JOB`."""
    work, variant, dtype, job_file = sys.argv[1:]
    import tensorflow as tf

    importlib.import_module("keras_hub")  # loading the model would import it
    imported = shared.resident_gib("VmRSS")
    tf.config.threading.set_intra_op_parallelism_threads(processes.THREADS)
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    measured = {
        ("training", True): _kerashub_training,
        ("training", False): _training,
        ("generation", True): _kerashub_generation,
        ("generation", False): _generation,
    }[work, variant == AS_IT_COMES]
    started = time.monotonic()
    seconds = measured(job, variant, dtype)
    found = {
        "seconds": seconds,
        "with_start": time.monotonic() - started,
        "memory_gib": shared.resident_gib("VmHWM") - imported,
    }
    print(json.dumps(found))


def _training(job: dict[str, Any], variant: str, dtype: str) -> float:
    """Train as the Trainer does; return the seconds after the first batch."""
    import keras

    from core.optimizations import TrainingOptimizations
    from models import data
    from models.hparams import TrainHParams
    from models.loading.load import load_model, resolve_preset
    from models.training.loop import fit
    from models.training.lora import enable_lora

    batches = [[data.TokenizedRow(tuple(t), s) for t, s in part] for part in job["batches"]]
    hparams = TrainHParams(
        preset=job["preset"],
        lora_rank=_RANK,
        batch_size=_BATCH,
        epochs=1,
        learning_rate=_LEARNING_RATE,
        schedule="constant",
        warmup_fraction=0,
        optimizations=switches(TrainingOptimizations, variant),
    )
    keras.utils.set_random_seed(0)
    folder = resolve_preset(job["preset"], shared.CACHE_DIR)
    model = load_model(folder, dtype, optimizations=hparams.optimizations)
    enable_lora(model, hparams)
    with mock.patch("models.training.loop.training_batches", return_value=_weighted(batches)):
        facts = fit(model, [row for part in batches for row in part], (), hparams)
    rate = facts["tokens_per_second"]
    assert rate is not None
    return _tokens(job["batches"][1:]) / rate


def _weighted(batches: Sequence[Sequence[Any]]) -> Iterator[Any]:
    from models import data

    for part in batches:
        [(inputs, labels)] = data.batches(part, _BATCH, None)
        [weights] = data.label_weights([labels])
        yield inputs, labels, weights


def _tokens(batches: Sequence[Sequence[Any]]) -> int:
    return sum(len(tokens) - 1 for part in batches for tokens, _ in part)


def _kerashub_training(job: dict[str, Any], variant: str, dtype: str) -> float:
    """Train with `CausalLM.fit`, as KerasHub's guide on LoRA does."""
    del variant
    import keras
    import keras_hub
    import tensorflow as tf

    from models.loading.load import resolve_preset

    keras.utils.set_random_seed(0)
    folder = resolve_preset(job["preset"], shared.CACHE_DIR)
    model = keras_hub.models.CausalLM.from_preset(folder, dtype=dtype)
    model.backbone.enable_lora(rank=_RANK)
    longest = max(len(tokens) for part in job["batches"] for tokens, _ in part)
    model.preprocessor.sequence_length = longest + 1
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer=keras.optimizers.AdamW(_LEARNING_RATE, weight_decay=0.0, global_clipnorm=1.0),
    )
    prompts, responses = zip(*(pair for part in job["texts"] for pair in part), strict=True)
    columns = {"prompts": list(prompts), "responses": list(responses)}
    ends: list[float] = []
    callback = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: ends.append(time.monotonic())
    )
    rows = tf.data.Dataset.from_tensor_slices(columns).batch(_BATCH)
    model.fit(rows, epochs=1, verbose=0, callbacks=[callback])
    return ends[-1] - ends[0]


def _generation(job: dict[str, Any], variant: str, dtype: str) -> float:
    """Answer as ResponseGen does; return the seconds after a first batch."""
    from core.optimizations import GenerationOptimizations
    from models.generation.generate import Generator
    from models.loading.load import load_model, resolve_preset

    optimizations = switches(GenerationOptimizations, variant)
    folder = resolve_preset(job["preset"], shared.CACHE_DIR)
    model = load_model(folder, dtype, optimizations=optimizations)
    generator = Generator(model, optimizations=optimizations)
    limits = _MAX_OUTPUT_TOKENS, _PROMPTS_AT_ONCE
    generator.respond(job["prompts"][:_PROMPTS_AT_ONCE], *limits)
    started = time.monotonic()
    generator.respond(job["prompts"], *limits)
    return time.monotonic() - started


def _kerashub_generation(job: dict[str, Any], variant: str, dtype: str) -> float:
    """Answer with `CausalLM.generate`, in batches of the same prompts, sorted by length too."""
    del variant
    import keras_hub

    from core.families import GEMMA
    from models import data
    from models.loading.load import resolve_preset

    folder = resolve_preset(job["preset"], shared.CACHE_DIR)
    model = keras_hub.models.CausalLM.from_preset(folder, dtype=dtype)
    model.compile(sampler="greedy")
    tokenizer = model.preprocessor.tokenizer
    texts = [f"{GEMMA.prefix}{prompt}{GEMMA.suffix}" for prompt in job["prompts"]]
    lengths = [len(ids) for ids in data.encode(texts, tokenizer)]
    texts = [texts[i] for i in sorted(range(len(texts)), key=lengths.__getitem__)]
    options = {
        "max_length": max(lengths) + 1 + _MAX_OUTPUT_TOKENS,
        "stop_token_ids": [int(tokenizer.end_token_id), data.end_token_id(tokenizer, GEMMA)],
    }
    batches = [texts[i : i + _PROMPTS_AT_ONCE] for i in range(0, len(texts), _PROMPTS_AT_ONCE)]
    model.generate(batches[0], **options)
    started = time.monotonic()
    for batch in batches:
        model.generate(batch, **options)
    return time.monotonic() - started


if __name__ == "__main__":
    main()
