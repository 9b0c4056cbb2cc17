"""Minutes that training and generation take on this machine, before anything runs.

The last run of the same model in the output folder says how fast this machine is. Before the first
one, half a second of matrix products does, scaled by what `benchmarks/` measured on two CPUs.
"""

import json
import os
import re
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.artifact_files import SUMMARY, VERDICTS
from core.base_model import RANDOM_PREFIX
from core.errors import UserError
from core.example_budget import CHARACTERS_PER_TOKEN
from core.records import TEST_SPLIT, CoverageRow
from core.reports.coverage import BASE, FEW_SHOT, TUNED
from core.reports.loop import LoopSummary, RoundSummary
from judging.judged_rows import judged_rows
from pipeline.config import Config
from pipeline.lengths import RowLengths, limits

# From benchmarks/RESULTS.md, training_sizes and generation: tokens a second, times parameters, per
# float32 operation a second of the same CPUs.
_TRAINED, _WRITTEN = 0.48, 0.22
_BFLOAT16_GAIN = 1.5
_BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16")
_FORWARD_GAIN = 2.0  # reading a prompt costs half of training on it
_TRAINER_START_SECONDS, _GENERATION_START_SECONDS = 60.0, 20.0  # loading and compiling
_RANDOM_START = 0.2  # two layers: little to load and compile
_PROBE_SECONDS, _PROBE_SIZE = 0.5, 768
_PARAMETERS = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)(b|m)(?![a-z\d])")
_RANDOM_PARAMETERS = 0.3e6
UNTUNED = {BASE: "BaseResponseGen", FEW_SHOT: "FewShotResponseGen"}


class Speed(NamedTuple):
    """How fast this machine is with a model.

    Attributes:
        trained: Tokens trained on in a second.
        written: Tokens of responses written in a second.
        source: Where the figures come from, for people.
    """

    trained: float
    written: float
    source: str


class MachineMinutes(NamedTuple):
    """Minutes of one round on this machine."""

    training: float
    generation: float


class Answering(NamedTuple):
    """Shares of the coverage prompts that are answered, 0 to 1.

    Attributes:
        tuned: By the tuned model.
        untuned: By each untuned one.
    """

    tuned: float = 1.0
    untuned: float = 1.0


ALL = Answering()


def answering_of(config: Config, rows: Sequence[CoverageRow]) -> Answering:
    """Return what share of the coverage rows is answered in a run."""
    judged = judged_rows(rows, config.evaluator.max_prompts)
    opened = [row for row in judged if row.split != TEST_SPLIT]
    sample = judged_rows(opened, config.evaluator.max_baseline_prompts)
    return Answering(len(judged) / len(rows), len(sample) / len(rows))


def machine_speed(config: Config) -> Speed | str:
    """Return the speed with the model of a configuration, or why it is not known."""
    if recorded := _recorded(config):
        return recorded
    if Path("/dev/nvidia0").exists():
        return "it has a GPU, whose speed is known after a first run in the same output_dir"
    parameters = _parameters(config.training.preset)
    if parameters is None:
        return (
            f"the size of {config.training.preset} is not in its name; it is known after a first "
            "run in the same output_dir"
        )
    operations = _operations_per_second()
    gain = _BFLOAT16_GAIN if _computes_in_bfloat16(config) else 1.0
    per_second = operations * gain / parameters
    return Speed(
        _TRAINED * per_second,
        _WRITTEN * per_second,
        f"estimated, within a factor of about two, from {operations / 1e9:,.0f} billion operations "
        "a second measured now; after a first run, from that",
    )


def round_minutes(
    config: Config,
    lengths: RowLengths,
    speed: Speed,
    round: int,
    logged: int = 0,
    *,
    answering: Answering = ALL,
) -> MachineMinutes:
    """Estimate what training and generation of one round take; see `component_seconds`."""
    seconds = component_seconds(config, lengths, speed, round, logged, answering=answering)
    generated = sum(seconds.values()) - seconds["Trainer"]
    return MachineMinutes(seconds["Trainer"] / 60, generated / 60)


def component_seconds(
    config: Config,
    lengths: RowLengths,
    speed: Speed,
    round: int,
    logged: int = 0,
    *,
    answering: Answering = ALL,
) -> dict[str, float]:
    """Estimate what the components of one round that run the model take, by their ids.

    Args:
        config: The configuration.
        lengths: Tokens of the coverage rows, which new rows are taken to be like.
        speed: Of this machine.
        round: The round, from 1; the rows of the rounds before are trained on again.
        logged: Logged exchanges to train on; so many fewer rows does the first round generate.
        answering: What share of the coverage prompts is answered.
    """
    row_tokens = statistics.fmean(lengths.totals)
    start = _RANDOM_START if config.training.preset.startswith(RANDOM_PREFIX) else 1.0
    tokens = trained_rows(config, round, logged) * row_tokens
    trained = start * _TRAINER_START_SECONDS + tokens / speed.trained
    generated = _generation_seconds(config, lengths, speed, round, answering)
    start_seconds = start * _GENERATION_START_SECONDS
    return {"Trainer": trained} | {n: start_seconds + s for n, s in generated.items()}


def trained_rows(config: Config, round: int, logged: int = 0) -> float:
    """Return how many rows the training of a round reads; see `component_seconds`.

    Args:
        config: The configuration.
        round: The round, from 1.
        logged: Logged exchanges to train on.
    """
    training = config.training
    later = config.synth.rows_per_round * (round - 1)
    made = max(config.synth.rows_per_round, logged) + later
    rows = made * (1 - config.synth.eval_fraction) * training.epochs
    if training.max_steps:
        step = training.batch_size * training.gradient_accumulation
        rows = min(rows, training.max_steps * step)
    return rows


def _generation_seconds(
    config: Config, lengths: RowLengths, speed: Speed, round: int, answering: Answering
) -> dict[str, float]:
    samples, limit = config.generation.samples, limits(config, lengths).max_output_tokens
    read = sum(lengths.prompts) / (_FORWARD_GAIN * speed.trained)
    written = sum(lengths.outputs) / speed.written
    tuned = samples * answering.tuned * (read + written)
    asked = [UNTUNED[name] for name in UNTUNED if name in config.evaluator.baselines]
    # Untuned models rarely end their turn. The examples before all prompts are read once.
    endless = answering.untuned * (read + len(lengths.prompts) * limit / speed.written)
    untuned = dict.fromkeys(asked if round == 1 else (), samples * endless)
    return {"ResponseGen": tuned, **untuned}


def _recorded(config: Config) -> Speed | None:
    """Return the speed of the last round in the output folder that trained the same model."""
    file = Path(config.output_dir, SUMMARY)
    try:
        rounds = LoopSummary.read(str(file)).at(config.output_dir).rounds
    except (UserError, OSError):
        return None
    for entry in reversed(rounds):
        same = entry.training.preset == config.training.preset
        written = _written_per_second(entry) if same else None
        if same and written and entry.training.tokens_per_second:
            source = f"as in round {entry.round} of the last run in {config.output_dir}"
            return Speed(entry.training.tokens_per_second, written, source)
    return None


def _written_per_second(entry: RoundSummary) -> float | None:
    """Return response tokens a second of ResponseGen, as estimated."""
    seconds = sum(node.seconds for node in entry.components if node.node == "ResponseGen")
    seconds = max(seconds - _GENERATION_START_SECONDS, seconds / 2)
    verdicts = Path(entry.artifacts.report, VERDICTS)
    try:
        with verdicts.open(encoding="utf-8") as lines:
            read = [json.loads(line) for line in lines]
    except (OSError, ValueError):
        return None
    characters = sum(len(row["response"]) for row in read if row.get("model") == TUNED)
    return characters / CHARACTERS_PER_TOKEN / seconds if seconds and characters else None


def _parameters(preset: str) -> float | None:
    if preset.startswith(RANDOM_PREFIX):
        return _RANDOM_PARAMETERS
    name = preset.rstrip("/").rpartition("/")[2].lower().replace("-", " ").replace("_", " ")
    found = _PARAMETERS.search(name)
    return float(found[1]) * {"b": 1e9, "m": 1e6}[found[2]] if found else None


def _computes_in_bfloat16(config: Config) -> bool:
    if config.training.dtype != "auto":
        return config.training.dtype == "bfloat16"
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return any(flag in flags for flag in _BFLOAT16_FLAGS)


def _operations_per_second() -> float:
    """Measure float32 products; in processor time, so that others on the machine do not count."""
    one = np.ones((_PROBE_SIZE, _PROBE_SIZE), np.float32)
    result = np.empty_like(one)
    np.matmul(one, one, out=result)
    started, used, products = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - started < _PROBE_SECONDS:
        np.matmul(one, one, out=result)
        products += 1
    per_cpu = products * 2.0 * _PROBE_SIZE**3 / max(time.process_time() - used, 1e-3)
    return per_cpu * len(os.sched_getaffinity(0))
