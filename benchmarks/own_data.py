"""How long a dataset of thousands of rows takes before a run: reading, splits, check, estimate.

Usage: python -m benchmarks.own_data

Rows are tickets with an answer in JSON, two tags and sessions of three. Seconds of the processor
should grow about as the rows do; the last two are whole commands, imports included, whose goal is
30 s with 20,000 rows.
"""

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.leak_texts import help_words
from benchmarks.valid_outputs import valid_outputs
from pipeline.check import check_task
from pipeline.config import load_config
from pipeline.estimate import estimate_text
from task.coverage.persisted import persist_splits
from task.coverage.reader import read_coverage
from task.importers import read_pairs
from task.sampling import sample
from task.splits import SplitRow, assign_splits

SIZES = (2_000, 20_000)
_SAMPLE = 200


def rows(count: int) -> list[dict[str, Any]]:
    """Make rows with different prompts of 8 to 80 words.

    Args:
        count: How many.
    """
    rng = random.Random(count)
    words = help_words()
    outputs = valid_outputs("order", count, seed=1)
    made = []
    for number, output in enumerate(outputs):
        start = rng.randrange(len(words) - 80)
        prompt = " ".join(words[start : start + rng.randint(8, 80)])
        tags = [f"team:{number % 7}", f"language:{rng.choice('abc')}"]
        made.append({"prompt": f"Ticket {number}: {prompt}", "output": output, "tags": tags})
    return made


def timings(count: int, folder: Path) -> dict[str, float]:
    """Measure each step on that many rows, in seconds of the processor.

    Args:
        count: Rows.
        folder: An empty folder.
    """
    made = rows(count)
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")
    config = load_config("offline", [f"coverage_dir={folder}"], environ={})
    numbered = enumerate(made)
    split_rows = [SplitRow(str(n), tuple(row["tags"]), f"s{n // 3}") for n, row in numbered]
    prompts = [row["prompt"] for row in made]
    steps: dict[str, Callable[[], object]] = {
        "import": lambda: read_pairs(str(folder)),
        "sample of 200": lambda: sample(prompts, _SAMPLE),
        "splits": lambda: assign_splits(split_rows),
        "splits of a folder, written": lambda: persist_splits(str(folder)),
        "read": lambda: read_coverage(str(folder)),
        "check": lambda: check_task(config),
        "estimate": lambda: estimate_text(config),
        "`understudy check`": lambda: _command("check", folder),
        "`understudy estimate`": lambda: _command("estimate", folder),
    }
    return {name: _seconds(step) for name, step in steps.items()}


def _command(name: str, folder: Path) -> None:
    """Run a command in a process of its own, imports included."""
    arguments = (f"coverage_dir={folder}", "generation.max_output_tokens=null")
    settings = [part for argument in arguments for part in ("--set", argument)]
    subprocess.run(
        [sys.executable, "local_runner.py", name, *settings], stdout=subprocess.DEVNULL, check=True
    )


def _seconds(step: Callable[[], object]) -> float:
    start = _used()
    step()
    return _used() - start


def _used() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def main() -> None:
    """Print a row per step."""
    found = {}
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            found[size] = timings(size, Path(folder))
    print("| step | " + " | ".join(f"{size:,} rows (s)" for size in SIZES) + " |")
    print("|---|" + "---|" * len(SIZES))
    for name in found[SIZES[0]]:
        cells = " | ".join(f"{found[size][name]:.1f}" for size in SIZES)
        print(f"| {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
