"""Generates greedily with vLLM's CPU build and prints the tokens and the time as JSON.

Usage: generate_with_vllm.py CHECKPOINT JOB.json DTYPE
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

# Read at the import: the engine in this process, so that its processor time is counted, and tokens
# of the prompts that are computed for each of them, as the other programs do.
os.environ |= {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_KVCACHE_SPACE": "2",
    "VLLM_LOGGING_LEVEL": "ERROR",
}

import vllm
from greedy import print_measured, until_stop


def main() -> None:
    """Generate twice and print the second time."""
    checkpoint, job_file, dtype = sys.argv[1:]
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    longest = max(map(len, job["prompts"])) + job["max_output_tokens"] + 1
    model = vllm.LLM(
        checkpoint,
        dtype=dtype,
        max_model_len=longest,
        max_num_seqs=job["batch_size"],
        enable_prefix_caching=False,
    )
    print_measured(lambda prompts: _generate(model, prompts, job), job)


def _generate(model: Any, prompts: list[list[int]], job: dict[str, Any]) -> list[list[int]]:
    sampling = vllm.SamplingParams(
        temperature=0, max_tokens=job["max_output_tokens"], stop_token_ids=job["stop_ids"]
    )
    found = model.generate(
        [{"prompt_token_ids": prompt} for prompt in prompts], sampling, use_tqdm=False
    )
    return [until_stop(result.outputs[0].token_ids, job) for result in found]


if __name__ == "__main__":
    main()
