"""Makes `fixtures/transformers.npz`: what transformers and PEFT compute for the tests' models.

In the project's environment, then in one with torch, transformers and peft:

    PYTHONPATH=. .venv/bin/python tests/models/make_transformers_fixture.py export DIR
    python tests/models/make_transformers_fixture.py compute DIR
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

NEW_TOKENS = 12
FIXTURE = Path(__file__).with_name("fixtures") / "transformers.npz"


def export(folder: Path) -> None:
    """Write each family's checkpoint, the batch and the LoRA factors."""
    from agreement import ALPHA, EXPORTED, FAMILIES, RANK, rows, seeded_model, with_value_factors

    from core.families import chat_template_for
    from models.export.transformers_checkpoint import export_transformers
    from models.export.verification import PROMPTS

    for name in EXPORTED:
        model = seeded_model(name, str(folder / "cache"))
        export_transformers(model, folder / name, chat_template_for(f"random:{name}"))
        if name not in FAMILIES:
            continue
        variables = with_value_factors(model)
        np.savez(folder / f"{name}.npz", *[np.asarray(v) for v in variables])
    batch = [(row.tokens, row.response_start) for row in rows()]
    facts = {"families": FAMILIES, "rows": batch, "rank": RANK, "alpha": ALPHA}
    facts |= {"exported": EXPORTED, "prompts": PROMPTS}
    (folder / "facts.json").write_text(json.dumps(facts))


def compute(folder: Path) -> None:
    """The loss and its gradients, without LoRA for all weights, with LoRA for the factors.

    And of each checkpoint the tokens of prompts by its chat template, and their continuations.
    """
    import peft
    import torch
    import transformers

    facts = json.loads((folder / "facts.json").read_text())
    length = max(len(tokens) for tokens, _ in facts["rows"])
    ids = torch.zeros(len(facts["rows"]), length, dtype=torch.long)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, -100)
    for i, (tokens, start) in enumerate(facts["rows"]):
        ids[i, : len(tokens)] = torch.tensor(tokens)
        mask[i, : len(tokens)] = 1
        labels[i, start : len(tokens)] = torch.tensor(tokens[start:])
    batch = {"input_ids": ids, "attention_mask": mask, "labels": labels}
    found = {}
    for name in facts["exported"]:
        found |= chats(name, folder / name, facts["prompts"])
    for name in facts["families"]:
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder / name, dtype=torch.float32, attn_implementation="eager"
        )
        loss = model(**batch).loss
        loss.backward()
        found[f"{name}/loss"] = loss.detach().numpy()
        layer = model.model.layers[0]
        for part, module in (
            ("query", layer.self_attn.q_proj),
            ("key", layer.self_attn.k_proj),
            ("output", layer.self_attn.o_proj),
            ("up", layer.mlp.up_proj),
            ("down", layer.mlp.down_proj),
        ):
            found[f"{name}/gradient/{part}"] = module.weight.grad.numpy().astype("float32")
        if model.config.num_key_value_heads != 1:
            continue
        config = peft.LoraConfig(
            r=facts["rank"], lora_alpha=facts["alpha"], target_modules=["v_proj"]
        )
        tuned = peft.get_peft_model(model, config)
        values = np.load(folder / f"{name}.npz")
        pairs = [values[key] for key in values.files]
        modules = [m for n, m in tuned.named_modules() if n.endswith("v_proj")]
        for number, module in enumerate(modules):
            a, b = pairs[2 * number], pairs[2 * number + 1]
            module.lora_A["default"].weight.data = torch.tensor(a.reshape(-1, a.shape[-1]).T)
            module.lora_B["default"].weight.data = torch.tensor(b.T)
        loss = tuned(**batch).loss
        loss.backward()
        found[f"{name}/lora/loss"] = loss.detach().numpy()
        for number, module in enumerate(modules):
            found[f"{name}/lora/{number}/a"] = module.lora_A["default"].weight.grad.numpy()
            found[f"{name}/lora/{number}/b"] = module.lora_B["default"].weight.grad.numpy()
    versions = [f"{m.__name__} {m.__version__}" for m in (torch, transformers, peft)]
    np.savez_compressed(FIXTURE, versions=np.array(versions), **found)
    print(FIXTURE, FIXTURE.stat().st_size, {k: v for k, v in found.items() if v.ndim == 0})


def chats(name: str, folder: Path, prompts: list[str]) -> dict[str, Any]:
    """What transformers makes of messages, by the checkpoint's tokenizer and chat template."""
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    found = {}
    for number, prompt in enumerate(prompts):
        messages = [{"role": "user", "content": prompt}]
        batch = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )
        output = model.generate(**batch, max_new_tokens=NEW_TOKENS, do_sample=False)
        ids = batch["input_ids"][0]
        found[f"{name}/chat/{number}/prompt"] = ids.numpy()
        found[f"{name}/chat/{number}/continuation"] = output[0, len(ids) :].numpy()
    return found


if __name__ == "__main__":
    {"export": export, "compute": compute}[sys.argv[1]](Path(sys.argv[2]))
