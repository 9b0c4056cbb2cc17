"""Trains LoRA with PEFT on given rows and prints what happened as JSON.

Usage: train_with_peft.py CHECKPOINT ROWS.json DTYPE MODE, where MODE is `usual` (batches padded on
the right in the order of the rows, logits at all positions), `tricks` (batches of similar lengths,
logits at response positions only) or `compiled` (the same, with `torch.compile(dynamic=True)`).
What is compiled takes the batches twice, and its rate is that of the second time: the first
compiles again and again.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import peft
import torch
import transformers

IGNORED = -100


def main() -> None:
    """Trains and prints."""
    checkpoint, rows_file, dtype, mode = sys.argv[1:]
    job = json.loads(Path(rows_file).read_text(encoding="utf-8"))
    imported = _resident_gib("VmRSS")
    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        checkpoint, dtype=getattr(torch, dtype)
    )
    # Both programs hold it, as every training does.
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    model.config.use_cache = False
    config = peft.LoraConfig(
        r=job["rank"], lora_alpha=job["rank"], target_modules=["q_proj", "v_proj"]
    )
    model = peft.get_peft_model(model, config)
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=job["learning_rate"], weight_decay=0.0)
    if mode == "compiled":
        causal = model.get_base_model()
        causal.model = torch.compile(causal.model, dynamic=True)
    batches = job["unsorted" if mode == "usual" else "batches"]
    losses, ends, tokens = [], [], []
    started = time.monotonic()
    for rows in batches * (2 if mode == "compiled" else 1):
        loss = _loss(model, rows, only_responses=mode != "usual")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(float(loss))
        ends.append(time.monotonic())
        tokens.append(sum(len(row[0]) - 1 for row in rows))
    count = len(batches)
    first = count - 1 if mode == "compiled" else 0  # the step after which the rate is measured
    print(
        json.dumps(
            {
                "losses": losses[:count],
                "tokens_per_second": sum(tokens[first + 1 :]) / (ends[-1] - ends[first]),
                "with_start": sum(tokens[:count]) / (ends[count - 1] - started),
                "peak_gib": _resident_gib("VmHWM"),
                "imported_gib": imported,
                "vocabulary": len(tokenizer),
            }
        )
    )


def _resident_gib(field: str) -> float:
    # Of this process alone; getrusage would count its parent's, too.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split(f"{field}:")[1].split()[0]) / 2**20


def _loss(model: Any, rows: list[Any], only_responses: bool) -> Any:
    length = max(len(tokens) for tokens, _ in rows)
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, IGNORED)
    for i, (tokens, start) in enumerate(rows):
        ids[i, : len(tokens)] = torch.tensor(tokens)
        mask[i, : len(tokens)] = 1
        labels[i, start : len(tokens)] = torch.tensor(tokens[start:])
    if not only_responses:
        return model(input_ids=ids, attention_mask=mask, labels=labels).loss
    causal = model.get_base_model()
    hidden = causal.model(input_ids=ids, attention_mask=mask).last_hidden_state
    is_label = labels[:, 1:] != IGNORED
    logits = causal.lm_head(hidden[:, :-1][is_label])
    return torch.nn.functional.cross_entropy(logits.float(), labels[:, 1:][is_label])


if __name__ == "__main__":
    main()
