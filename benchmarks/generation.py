"""ResponseGen's generator against transformers' `generate`: same weights, prompts and threads.

`python -m benchmarks.generation` prints a Markdown table; it takes about twenty minutes. Decoding
is greedy, both programs answer the same prompts in batches sorted by length, after a first batch
that is not counted. Each figure is the median of the runs, which alternate between the programs.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import gemma as shared
from benchmarks import processes

_RUNS = 5
_PROMPTS = 32
_BATCH = 8
_MAX_OUTPUT_TOKENS = 48


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
        job = str(Path(folder) / "job.json")
        _write_job(job)
        print("| dtype | program | tokens / s | ratio | same responses |\n|---|---|---|---|---|")
        for dtype in ("float32", "bfloat16"):
            _compare(dtype, job, arguments.runs)


def _write_job(path: str) -> None:
    from components.coverage_example_gen.reader import read_coverage
    from models import data, gemma
    from models.features import GEMMA

    model = gemma.load_model(gemma.resolve_preset(shared.PRESET, shared.CACHE_DIR), "float32")
    tokenizer = model.preprocessor.tokenizer
    raw = [pair.prompt for pair in read_coverage("data/coverage/support_triage")][:_PROMPTS]
    encoded = data.encode([f"{GEMMA.prefix}{p}{GEMMA.suffix}" for p in raw], tokenizer)
    order = sorted(range(len(raw)), key=lambda i: len(encoded[i]))
    job = {
        "threads": processes.THREADS,
        "batch_size": _BATCH,
        "max_output_tokens": _MAX_OUTPUT_TOKENS,
        "raw": [raw[i] for i in order],
        "prompts": [[int(tokenizer.start_token_id), *encoded[i]] for i in order],
        "stop_ids": [int(tokenizer.end_token_id), data.end_token_id(tokenizer, GEMMA)],
    }
    Path(path).write_text(json.dumps(job), encoding="utf-8")


def _compare(dtype: str, job: str, runs: int) -> None:
    found: dict[str, list[dict[str, Any]]] = {"ours": [], "transformers": []}
    for run in range(runs):
        processes.progress(f"generation, {dtype}, run {run + 1} of {runs}")
        found["ours"].append(processes.ours("generation", "--child", job, dtype))
        found["transformers"].append(
            shared.peer("generate_with_transformers.py", shared.checkpoint(), job, dtype)
        )
    rates = {
        name: statistics.median(result["tokens_per_second"] for result in results)
        for name, results in found.items()
    }
    texts = zip(found["ours"][0]["texts"], found["transformers"][0]["texts"], strict=True)
    same = sum(one.strip() == other.strip() for one, other in texts)
    for name, rate in rates.items():
        print(
            f"| {dtype} | {name} | {rate:.0f} | {rates['ours'] / rate:.2f} | "
            f"{same} of {_PROMPTS} |",
            flush=True,
        )


def _generate(job_file: str, dtype: str) -> dict[str, Any]:
    import tensorflow as tf

    from models import data, gemma
    from models.generate import Generator

    tf.config.threading.set_intra_op_parallelism_threads(processes.THREADS)
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    model = gemma.load_model(gemma.resolve_preset(shared.PRESET, shared.CACHE_DIR), dtype)
    generator = Generator(model)
    limits = job["max_output_tokens"], job["batch_size"]
    generator.respond(job["raw"][: job["batch_size"]], *limits)
    started = time.monotonic()
    samples = generator.respond(job["raw"], *limits)
    seconds = time.monotonic() - started
    texts = [text for text, _ in samples]
    tokens = sum(map(len, data.encode(texts, model.preprocessor.tokenizer)))
    return {"texts": texts, "tokens": tokens, "tokens_per_second": tokens / seconds}


if __name__ == "__main__":
    main()
