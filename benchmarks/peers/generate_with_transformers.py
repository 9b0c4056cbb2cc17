"""Generates greedily with transformers and prints the tokens and the time as JSON.

Usage: generate_with_transformers.py CHECKPOINT JOB.json DTYPE
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
import transformers
from greedy import print_measured, until_stop


def main() -> None:
    """Generate twice and print the second time."""
    checkpoint, job_file, dtype = sys.argv[1:]
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    model = transformers.AutoModelForCausalLM.from_pretrained(
        checkpoint, dtype=getattr(torch, dtype)
    )
    size = job["batch_size"]

    def answers(prompts: list[list[int]]) -> list[list[int]]:
        batches = (prompts[first : first + size] for first in range(0, len(prompts), size))
        return [answer for batch in batches for answer in _generate(model, batch, job)]

    print_measured(answers, job)


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
    return [until_stop(row, job) for row in output[:, length:].tolist()]


if __name__ == "__main__":
    main()
