"""The Trainer against PEFT: same weights, rank, targets, rows, learning rate and threads.

`python -m benchmarks.training` prints a Markdown table; it takes about a quarter of an hour. Rates
count tokens that are not padding. "usual" is PEFT as people run it (batches padded in the order of
the rows, logits at all positions); "same tricks" takes the Trainer's own batches, of rows of
similar length, and computes the logits of responses only. Memory is the largest resident set, and
what it exceeds that after the imports by. Each figure is the median of the runs, which alternate
between the programs.
"""

import argparse
import importlib
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from benchmarks import gemma as shared
from benchmarks import processes

_RUNS = 5
_STEPS = 10
_BATCH = 4
_RANK = 8
_LEARNING_RATE = 1e-3
_PROGRAMS = ("ours", "peft, usual", "peft, same tricks")
# The factors begin differently and differ per head, so only the first loss is the same number.
_FIRST_LOSS_DIFFERENCE = {"float32": 1e-3, "bfloat16": 0.05}


def main() -> None:
    """Measures and prints the table, or is the process that is measured."""
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
        for dtype in ("float32", "bfloat16"):
            _compare(dtype, job, arguments.runs)


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


def _compare(dtype: str, job: str, runs: int) -> None:
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in _PROGRAMS}
    for run in range(runs):
        for name in _PROGRAMS:
            processes.progress(f"training, {dtype}, run {run + 1} of {runs}: {name}")
            if name == "ours":
                found[name].append(processes.ours("training", "--child", job, dtype))
            else:
                mode = "usual" if name == "peft, usual" else "tricks"
                found[name].append(
                    shared.peer("train_with_peft.py", shared.checkpoint(), job, dtype, mode)
                )
    rates = {
        name: statistics.median(r["tokens_per_second"] for r in results)
        for name, results in found.items()
    }
    for name, results in found.items():
        with_start = statistics.median(r["with_start"] for r in results)
        peak = statistics.median(r["peak_gib"] for r in results)
        without = statistics.median(r["peak_gib"] - r["imported_gib"] for r in results)
        losses = results[0]["losses"]
        print(
            f"| {dtype} | {name} | {rates[name]:.0f} | {rates['ours'] / rates[name]:.2f} | "
            f"{with_start:.0f} | {peak:.2f} | {without:.2f} | {losses[0]:.4f}, {losses[-1]:.4f} |",
            flush=True,
        )
    first, peers_first = (found[name][0]["losses"][0] for name in ("ours", "peft, same tricks"))
    if abs(first - peers_first) > _FIRST_LOSS_DIFFERENCE[dtype]:
        raise SystemExit(f"The first losses differ: {first} and PEFT's {peers_first}.")


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
