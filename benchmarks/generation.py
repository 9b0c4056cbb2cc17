"""ResponseGen's generator against transformers' `generate`, llama.cpp's server and vLLM.

`python -m benchmarks.generation` prints a Markdown table; it takes about an hour. All have the same
weights, prompts and threads. Decoding is greedy, the programs answer the same prompts in batches
sorted by length (llama.cpp and vLLM: as many at once), after a first batch that is not counted.
Each figure is the median of the runs, which alternate between the programs. CPU time depends less
on what else the machine does. "same tokens" counts the responses that are ours, token for token;
"as in float32" those that are ours in float32, which shows how much bfloat16's rounding changes.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import gemma as shared
from benchmarks import processes

_RUNS = 3
_PROMPTS = 32
_BATCHES = (8, 32)
_MAX_OUTPUT_TOKENS = 48
_VLLM_PYTHON = os.environ.get("VLLM_PYTHON", ".venv-vllm/bin/python")

Answer = list[int]  # the tokens of a response


def main() -> None:
    """Measures and prints the table, or is the process that is measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=_RUNS)
    parser.add_argument("--child", nargs=2, metavar=("JOB", "DTYPE"))
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(_generate(*arguments.child)))
        return
    with tempfile.TemporaryDirectory() as folder:
        columns = ("at once", "dtype", "program", "tokens / s", "ratio", "CPU ms / token")
        print(f"| {' | '.join(columns)} | same tokens | as in float32 |")
        print(f"|{'---|' * (len(columns) + 2)}")
        exact: list[Answer] | None = None
        for dtype in ("float32", "bfloat16"):
            # Gone after its rows, since it takes up to a gigabyte.
            with tempfile.TemporaryDirectory() as gguf_folder:
                gguf_file = shared.gguf_file(gguf_folder, dtype)
                for batch in _BATCHES:
                    job = str(Path(folder) / f"job-{batch}.json")
                    _write_job(job, batch)
                    exact = _compare(f"{batch} | {dtype}", job, gguf_file, arguments.runs, exact)


def _write_job(path: str, batch: int) -> None:
    from core.families import GEMMA
    from models import data
    from models.loading.load import load_model, resolve_preset
    from task.coverage.reader import read_coverage

    model = load_model(resolve_preset(shared.PRESET, shared.CACHE_DIR), "float32")
    tokenizer = model.preprocessor.tokenizer
    raw = [pair.prompt for pair in read_coverage("data/coverage/support_triage")][:_PROMPTS]
    encoded = data.encode([f"{GEMMA.prefix}{p}{GEMMA.suffix}" for p in raw], tokenizer)
    order = sorted(range(len(raw)), key=lambda i: len(encoded[i]))
    job = {
        "threads": processes.THREADS,
        "batch_size": batch,
        "max_output_tokens": _MAX_OUTPUT_TOKENS,
        "raw": [raw[i] for i in order],
        "prompts": [[int(tokenizer.start_token_id), *encoded[i]] for i in order],
        "stop_ids": [int(tokenizer.end_token_id), data.end_token_id(tokenizer, GEMMA)],
    }
    Path(path).write_text(json.dumps(job), encoding="utf-8")


def _compare(
    head: str, job: str, gguf_file: str, runs: int, exact: list[Answer] | None
) -> list[Answer]:
    """Measure and print the rows of a dtype; returns the answers that others are compared with."""
    dtype = head.rpartition(" ")[2]
    programs: dict[str, Callable[[], dict[str, Any]]] = {
        "ours": lambda: processes.ours("generation", "--child", job, dtype),
        "transformers": lambda: shared.peer(
            "generate_with_transformers.py", shared.checkpoint(), job, dtype
        ),
        "llama.cpp": lambda: processes.peer(
            sys.executable, "generate_with_llama_cpp.py", gguf_file, job
        ),
        "vLLM": lambda: processes.peer(
            _VLLM_PYTHON, "generate_with_vllm.py", shared.checkpoint(), job, dtype
        ),
    }
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in programs}
    for run in range(runs):
        for name, measured in programs.items():
            processes.progress(f"generation, {head}, run {run + 1} of {runs}: {name}")
            found[name].append(measured())
    median = {
        name: {
            key: statistics.median(result[key] for result in results)
            for key in ("tokens_per_second", "cpu_ms_per_token")
        }
        for name, results in found.items()
    }
    ours: list[Answer] = found["ours"][0]["answers"]
    exact = exact or ours
    for name, figures in median.items():
        rate, answers = figures["tokens_per_second"], found[name][0]["answers"]
        print(
            f"| {head} | {name} | {rate:.0f} | {median['ours']['tokens_per_second'] / rate:.2f} | "
            f"{figures['cpu_ms_per_token']:.1f} | {_equal(answers, ours)} | "
            f"{_equal(answers, exact)} |",
            flush=True,
        )
    return exact


def _equal(answers: list[Answer], others: list[Answer]) -> str:
    same = sum(one == other for one, other in zip(answers, others, strict=True))
    return f"{same} of {len(answers)}"


def _generate(job_file: str, dtype: str) -> dict[str, Any]:
    import tensorflow as tf

    from models.generation.generate import Generator
    from models.loading.load import load_model, resolve_preset

    class Recording(Generator):
        """Keeps the tokens that the responses are made of."""

        def _decode(self, ids: list[int]) -> tuple[str, str]:
            end = next((i for i, token in enumerate(ids) if token in job["stop_ids"]), len(ids))
            answers.append(ids[:end])
            return super()._decode(ids)

    tf.config.threading.set_intra_op_parallelism_threads(processes.THREADS)
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    answers: list[list[int]] = []
    model = load_model(resolve_preset(shared.PRESET, shared.CACHE_DIR), dtype)
    generator = Recording(model)
    limits = job["max_output_tokens"], job["batch_size"]
    generator.respond(job["raw"][: job["batch_size"]], *limits)
    answers.clear()
    started, cpu_started = time.monotonic(), time.process_time()
    generator.respond(job["raw"], *limits)
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu_started
    tokens = sum(map(len, answers))
    return {
        "answers": answers,
        "tokens_per_second": tokens / seconds,
        "cpu_ms_per_token": 1000 * cpu_seconds / tokens,
    }


if __name__ == "__main__":
    main()
