"""What the benchmarks of the models share: the packaged Gemma, the demo's rows, the peers."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from components.coverage_example_gen.reader import read_coverage
from models import data, gemma
from models.features import GEMMA
from models.transformers_export import export_transformers

PRESET = "packaged:gemma3-270m"
CACHE_DIR = ".cache"
THREADS = 2
PEERS_PYTHON = os.environ.get("PEERS_PYTHON", ".venv-peers/bin/python")
PEERS_DIR = Path(__file__).with_name("peers")


def tokenized_coverage(tokenizer: Any) -> tuple[data.TokenizedRow, ...]:
    """The demo's coverage pairs as training rows."""
    pairs = read_coverage("data/coverage/support_triage")
    texts = [
        (f"{GEMMA.prefix}{pair.prompt}{GEMMA.suffix}", f"{pair.output}{GEMMA.end}")
        for pair in pairs
    ]
    return data.tokenize(texts, tokenizer, 512).rows


def checkpoint() -> str:
    """The packaged Gemma as a transformers checkpoint, written once."""
    folder = Path(CACHE_DIR) / "benchmarks" / "gemma3-270m-transformers"
    if not (folder / "tokenizer_config.json").exists():
        model = gemma.load_model(gemma.resolve_preset(PRESET, CACHE_DIR), "float32")
        export_transformers(model, folder, GEMMA)
    return str(folder)


def measure(command: list[str]) -> dict[str, Any]:
    """What a process prints as JSON in its last line.

    Raises:
        SystemExit: It failed, or the peers are not installed.
    """
    if not Path(command[0]).exists():
        raise SystemExit(f"{command[0]} does not exist; see benchmarks/peers/README.md.")
    environment = {**os.environ, "OMP_NUM_THREADS": str(THREADS), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{command} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    values: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return values


def peer(script: str, *arguments: str) -> dict[str, Any]:
    """What a script of `peers` prints."""
    return measure([PEERS_PYTHON, str(PEERS_DIR / script), *arguments])


def ours(module: str, *arguments: str) -> dict[str, Any]:
    """What a module of this package prints when it is the process that is measured."""
    return measure([sys.executable, "-m", f"benchmarks.{module}", *arguments])


def peak_gib() -> float:
    """The largest resident set of this process; getrusage would count its parent's, too."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 2**20


def progress(text: str) -> None:
    """Say what is going on, beside the results on stdout."""
    print(text, file=sys.stderr, flush=True)
