"""What the scripts that generate greedily share; each runs in an environment of its own."""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

Answers = list[list[int]]


def print_measured(generate: Callable[[list[list[int]]], Answers], job: dict[str, Any]) -> None:
    """Generate a first batch that is not counted, then all; print the tokens and the time as JSON.

    Args:
        generate: Answers prompts, both as tokens.
        job: As `benchmarks.generation` writes it.
    """
    generate(job["prompts"][: job["batch_size"]])
    started, cpu_started = time.monotonic(), time.process_time()
    answers = generate(job["prompts"])
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu_started
    tokens = sum(map(len, answers))
    found = {
        "answers": answers,
        "tokens_per_second": tokens / seconds,
        "cpu_ms_per_token": 1000 * cpu_seconds / tokens,
    }
    print(json.dumps(found), flush=True)  # a server's end may take a while


def until_stop(tokens: Sequence[int], job: dict[str, Any]) -> list[int]:
    """Return the tokens before the first that ends an answer."""
    stops = job["stop_ids"]
    end = next((i for i, token in enumerate(tokens) if token in stops), len(tokens))
    return list(tokens[:end])
