"""Generates greedily with llama.cpp's server and prints the tokens and the time as JSON.

Usage: generate_with_llama_cpp.py MODEL.gguf JOB.json; needs the project's own environment.
"""

import json
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import xllamacpp
from greedy import print_measured, until_stop


def main() -> None:
    """Generate twice and print the second time."""
    file, job_file = sys.argv[1:]
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    server = xllamacpp.Server(_params(file, job))
    with ThreadPoolExecutor(job["batch_size"]) as pool:

        def answers(prompts: list[list[int]]) -> list[list[int]]:
            found = pool.map(
                lambda prompt: _generate(server.listening_address, prompt, job), prompts
            )
            return list(found)

        print_measured(answers, job)


def _params(file: str, job: dict[str, Any]) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = file
    longest = max(map(len, job["prompts"])) + job["max_output_tokens"] + 1
    params.n_ctx = job["batch_size"] * longest
    params.n_parallel = job["batch_size"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = job["threads"]
    return params


def _generate(address: str, prompt: list[int], job: dict[str, Any]) -> list[int]:
    body = {
        "prompt": prompt,
        "n_predict": job["max_output_tokens"],
        "temperature": 0,
        "cache_prompt": False,
        "return_tokens": True,
    }
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/completion", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as reply:
        tokens: list[int] = json.load(reply)["tokens"]
    return until_stop(tokens, job)


if __name__ == "__main__":
    main()
