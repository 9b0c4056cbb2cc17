"""Generates greedily with transformers and prints the tokens and the time as JSON.

Usage: generate_with_transformers.py CHECKPOINT JOB.json DTYPE
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
import transformers


def main() -> None:
    """Generate twice and print the second time."""
    checkpoint, job_file, dtype = sys.argv[1:]
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    model = transformers.AutoModelForCausalLM.from_pretrained(
        checkpoint, dtype=getattr(torch, dtype)
    )
    _generate(model, job["prompts"][: job["batch_size"]], job)
    started, cpu_started = time.monotonic(), time.process_time()
    answers: list[list[int]] = []
    for first in range(0, len(job["prompts"]), job["batch_size"]):
        answers += _generate(model, job["prompts"][first : first + job["batch_size"]], job)
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu_started
    tokens = sum(map(len, answers))
    print(
        json.dumps(
            {
                "answers": answers,
                "tokens_per_second": tokens / seconds,
                "cpu_ms_per_token": 1000 * cpu_seconds / tokens,
            }
        )
    )


def _generate(model: Any, prompts: list[list[int]], job: dict[str, Any]) -> list[list[int]]:
    length = max(map(len, prompts))
    ids = torch.zeros(len(prompts), length, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, prompt in enumerate(prompts):
        ids[i, length - len(prompt) :] = torch.tensor(prompt)
        mask[i, length - len(prompt) :] = 1
    with torch.no_grad():
        output = model.generate(
            ids,
            attention_mask=mask,
            max_new_tokens=job["max_output_tokens"],
            do_sample=False,
            pad_token_id=0,
            eos_token_id=job["stop_ids"],
        )
    answers = []
    for row in output[:, length:].tolist():
        end = next((i for i, token in enumerate(row) if token in job["stop_ids"]), len(row))
        answers.append(row[:end])
    return answers


if __name__ == "__main__":
    main()
