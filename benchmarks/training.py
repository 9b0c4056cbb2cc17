"""The Trainer against PEFT: same weights, rank, targets, rows, learning rate and threads.

`python -m benchmarks.training` prints Markdown tables; it takes about half an hour. Rates count
tokens that are not padding. "usual" is PEFT as people run it (batches padded in the order of the
rows, logits at all positions); "same tricks" takes the Trainer's own batches, of rows of similar
length, and computes the logits of responses only; "compiled" does that with
`torch.compile(dynamic=True)`. Memory is the largest resident set, and what it exceeds that after
the imports by. Each figure is the median of the runs, which alternate between the programs. The
seconds to train on more tokens follow from the seconds of the start and the rate after it.
"""

import argparse
import importlib
import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

from benchmarks import gemma as shared
from benchmarks import processes

_RUNS = 5
_STEPS = 10
_BATCH = 4
_RANK = 8
_LEARNING_RATE = 1e-3
_MODES = {"peft, usual": "usual", "peft, same tricks": "tricks", "peft, compiled": "compiled"}
_PROGRAMS = ("ours", *_MODES)
_LENGTHS = (1_000, 10_000, 100_000, 1_000_000)  # tokens of a training
DTYPES = ("float32", "bfloat16")
# The factors begin differently and differ per head, so only the first loss is the same number.
_FIRST_LOSS_DIFFERENCE = {"float32": 1e-3, "bfloat16": 0.05}


class Pace(NamedTuple):
    """How fast a program trains.

    Attributes:
        start_seconds: What the first batches take longer than their tokens would.
        rate: Tokens per second after that.
    """

    start_seconds: float
    rate: float

    @classmethod
    def of(cls, tokens: int, with_start: float, rate: float) -> "Pace":
        """Return the pace of a program that trained on some tokens.

        Args:
            tokens: How many.
            with_start: Tokens per second, the start included.
            rate: Without it.
        """
        return cls(max(0.0, tokens / with_start - tokens / rate), rate)

    def seconds(self, tokens: int) -> float:
        """Return how long a training takes."""
        return self.start_seconds + tokens / self.rate


def main() -> None:
    """Measures and prints the tables, or is the process that is measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=_RUNS)
    parser.add_argument("--child", nargs=2, metavar=("ROWS", "DTYPE"))
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(_train(*arguments.child)))
        return
    with tempfile.TemporaryDirectory() as folder:
        job = str(Path(folder) / "job.json")
        _write_job(job)
        print(
            "| dtype | program | tokens / s | ratio | with the start | peak GiB | without imports "
            "| loss, first and last |\n|---|---|---|---|---|---|---|---|"
        )
        whole = {dtype: _compare(dtype, job, arguments.runs) for dtype in DTYPES}
        print(f"\n{trainings_table(whole)}")


def _write_job(path: str) -> None:
    from models import data
    from models.loading.load import load_model, resolve_preset

    model = load_model(resolve_preset(shared.PRESET, shared.CACHE_DIR), "float32")
    coverage = shared.tokenized_coverage(model.preprocessor.tokenizer)
    rng = np.random.default_rng(0)
    # The first batches of a pass over all rows, as the Trainer makes them.
    groups = data.groups(coverage, _BATCH, rng)
    batches = [group for group in groups if len(group) == _BATCH][:_STEPS]
    rows = [row for group in batches for row in group]
    rows = [rows[i] for i in rng.permutation(len(rows))]
    unsorted = [rows[i : i + _BATCH] for i in range(0, len(rows), _BATCH)]
    job = {
        "threads": processes.THREADS,
        "rank": _RANK,
        "learning_rate": _LEARNING_RATE,
        "unsorted": [[(row.tokens, row.response_start) for row in part] for part in unsorted],
        "batches": [[(row.tokens, row.response_start) for row in part] for part in batches],
    }
    Path(path).write_text(json.dumps(job), encoding="utf-8")


def trainings_table(found: Mapping[str, Mapping[str, Pace]]) -> str:
    """Format how long trainings take, start included.

    Args:
        found: By dtype and program.
    """
    lengths = " | ".join(f"{length:,} tokens" for length in _LENGTHS)
    lines = [
        f"| dtype | program | start, seconds | {lengths} |",
        f"|---|---|---|{'---|' * len(_LENGTHS)}",
    ]
    for dtype, paces in found.items():
        for name, pace in paces.items():
            seconds = " | ".join(f"{pace.seconds(length):,.0f} s" for length in _LENGTHS)
            lines.append(f"| {dtype} | {name} | {pace.start_seconds:.1f} | {seconds} |")
    return "\n".join(lines)


def _compare(dtype: str, job: str, runs: int) -> dict[str, Pace]:
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in _PROGRAMS}
    for run in range(runs):
        for name in _PROGRAMS:
            processes.progress(f"training, {dtype}, run {run + 1} of {runs}: {name}")
            if name == "ours":
                found[name].append(processes.ours("training", "--child", job, dtype))
            else:
                script = ("train_with_peft.py", shared.checkpoint(), job, dtype, _MODES[name])
                found[name].append(shared.peer(*script))
    rates = {
        name: statistics.median(r["tokens_per_second"] for r in results)
        for name, results in found.items()
    }
    with_start = {
        name: statistics.median(r["with_start"] for r in results) for name, results in found.items()
    }
    for name, results in found.items():
        peak = statistics.median(r["peak_gib"] for r in results)
        without = statistics.median(r["peak_gib"] - r["imported_gib"] for r in results)
        first, *_, last = results[0]["losses"]
        print(
            f"| {dtype} | {name} | {rates[name]:.0f} | {rates['ours'] / rates[name]:.2f} | "
            f"{with_start[name]:.0f} | {peak:.2f} | {without:.2f} | {first:.4f}, {last:.4f} |",
            flush=True,
        )
    first, peers_first = (found[name][0]["losses"][0] for name in ("ours", "peft, same tricks"))
    if abs(first - peers_first) > _FIRST_LOSS_DIFFERENCE[dtype]:
        raise SystemExit(f"The first losses differ: {first} and PEFT's {peers_first}.")
    tokens = _tokens(job)
    return {name: Pace.of(tokens, with_start[name], rates[name]) for name in found}


def _tokens(job: str) -> int:
    """Return the tokens of a job's batches, the first of each row left out: nothing precedes it."""
    batches = json.loads(Path(job).read_text(encoding="utf-8"))["batches"]
    return sum(len(tokens) - 1 for part in batches for tokens, _ in part)


def _train(rows_file: str, dtype: str) -> dict[str, Any]:
    import keras
    import tensorflow as tf

    from models import data
    from models.hparams import TrainHParams
    from models.loading.load import load_model, resolve_preset
    from models.training.loop import fit
    from models.training.lora import enable_lora

    importlib.import_module("keras_hub")  # loading the model would import it
    imported = shared.resident_gib("VmRSS")
    tf.config.threading.set_intra_op_parallelism_threads(processes.THREADS)
    job = json.loads(Path(rows_file).read_text(encoding="utf-8"))
    batches = [[data.TokenizedRow(tuple(t), s) for t, s in part] for part in job["batches"]]
    hparams = TrainHParams(
        preset=shared.PRESET,
        lora_rank=job["rank"],
        batch_size=_BATCH,
        epochs=1,
        learning_rate=job["learning_rate"],
        schedule="constant",
        warmup_fraction=0,
    )
    keras.utils.set_random_seed(0)
    model = load_model(resolve_preset(shared.PRESET, shared.CACHE_DIR), dtype)
    enable_lora(model, hparams)
    started = time.monotonic()
    # The batches of the job in their order, so that all programs see the same.
    with mock.patch("models.training.loop.training_batches", return_value=_weighted(batches)):
        facts = fit(model, [row for part in batches for row in part], (), hparams)
    seconds = time.monotonic() - started
    return {
        "losses": facts["losses"],
        "tokens_per_second": facts["tokens_per_second"],
        "with_start": facts["tokens"] / seconds,
        "peak_gib": shared.resident_gib("VmHWM"),
        "imported_gib": imported,
    }


def _weighted(batches: list[list[Any]]) -> Iterator[Any]:
    from models import data

    for part in batches:
        [(inputs, labels)] = data.batches(part, _BATCH, None)
        [weights] = data.label_weights([labels])
        yield inputs, labels, weights


if __name__ == "__main__":
    main()
