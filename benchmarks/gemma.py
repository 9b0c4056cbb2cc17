"""What the benchmarks of the models share: the packaged Gemma, the demo's rows, the peers."""

import os
from pathlib import Path
from typing import Any, Literal

from benchmarks import processes
from core.families import GEMMA
from models import data
from models.export.gguf_file import GGUF_FILE, export_gguf
from models.export.transformers_checkpoint import export_transformers
from models.loading.load import load_model, resolve_preset
from task.coverage.reader import read_coverage

PRESET = "packaged:gemma3-270m"
CACHE_DIR = ".cache"
PEERS_PYTHON = os.environ.get("PEERS_PYTHON", ".venv-peers/bin/python")


def tokenized_coverage(tokenizer: Any) -> tuple[data.TokenizedRow, ...]:
    """Return the demo's coverage pairs as training rows."""
    pairs = read_coverage("data/coverage/support_triage")
    texts = [
        (f"{GEMMA.prefix}{pair.prompt}{GEMMA.suffix}", f"{pair.output}{GEMMA.end}")
        for pair in pairs
    ]
    return data.tokenize(texts, tokenizer, 512).rows


def checkpoint() -> str:
    """Return the packaged Gemma as a transformers checkpoint, written once."""
    folder = Path(CACHE_DIR) / "benchmarks" / "gemma3-270m-transformers"
    if not (folder / "tokenizer_config.json").exists():
        model = load_model(resolve_preset(PRESET, CACHE_DIR), "float32")
        export_transformers(model, folder, GEMMA)
    return str(folder)


def gguf_file(folder: str, dtype: str) -> str:
    """Write the packaged Gemma as a GGUF file of float32 or bfloat16."""
    kind: Literal["f32", "bf16"] = "f32" if dtype == "float32" else "bf16"
    model = load_model(resolve_preset(PRESET, CACHE_DIR), "float32")
    export_gguf(model, Path(folder), GEMMA, gguf_type=kind, sequence_length=512)
    return str(Path(folder) / GGUF_FILE)


def peer(script: str, *arguments: str) -> dict[str, Any]:
    """Return what a script of `peers` prints."""
    return processes.peer(PEERS_PYTHON, script, *arguments)


def resident_gib(field: str) -> float:
    """Return the resident set of this process, `VmRSS` now or `VmHWM` at its largest.

    getrusage would count its parent's, too.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split(f"{field}:")[1].split()[0]) / 2**20
