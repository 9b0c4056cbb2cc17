"""Seconds until `understudy serve` is ready, once the GGUF file exists; the goal is ten.

`python -m benchmarks.serve_start` prints a Markdown table; it takes about a minute. The model is
the packaged Gemma 3 270M. Ready means that the model has answered a coverage prompt through the
gateway: `/understudy/ready` says 200.
"""

import contextlib
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

import yaml

from benchmarks.processes import progress

_STARTS = 5
_POLL_SECONDS = 0.02
_PROMPTS = ("My camera is broken.", "Where is my parcel?", "How do I reset my password?")


class Start(NamedTuple):
    """One start.

    Attributes:
        generated: Seconds until the model's server had generated something.
        ready: Seconds until the gateway was ready.
    """

    generated: float
    ready: float


def main() -> None:
    """Start the gateway a few times, and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        progress("writing the run of the packaged model")
        command = [sys.executable, "-m", "tests.serving.packaged_run", str(run)]
        subprocess.run(command, check=True, capture_output=True)
        preset = _write_preset(Path(folder), run)
        starts = []
        for number in range(_STARTS):
            progress(f"start {number + 1} of {_STARTS}")
            starts.append(_start(preset))
    print("| `understudy serve`, Gemma 3 270M Q4_K_M | median, seconds | slowest |\n|---|---|---|")
    for name, values in zip(("first generation", "ready"), zip(*starts, strict=True), strict=True):
        print(f"| {name} | {statistics.median(values):.1f} | {max(values):.1f} |")


def _start(preset: Path) -> Start:
    started = time.perf_counter()
    command = [sys.executable, "local_runner.py", "serve", "--preset", str(preset), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if found := re.search(r"Point the application at (http://\S+)", line):
                    break
            else:
                raise SystemExit("The gateway did not start.")
            generated = time.perf_counter() - started
            while not _is_ready(found[1]):
                time.sleep(_POLL_SECONDS)
            return Start(generated, time.perf_counter() - started)
        finally:
            process.terminate()


def _is_ready(url: str) -> bool:
    with contextlib.suppress(urllib.error.URLError):
        urllib.request.urlopen(f"{url}/understudy/ready", timeout=5).close()
        return True
    return False


def _write_preset(folder: Path, run: Path) -> Path:
    coverage = folder / "coverage"
    coverage.mkdir()
    rows = [
        {
            "id": str(number),
            "prompt": prompt,
            "output": "{}",
            "split": ("seed", "holdout")[number % 2],
        }
        for number, prompt in enumerate(_PROMPTS)
    ]
    (coverage / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    values = {
        "extends": "smoke",
        "name": "packaged",
        "coverage_dir": str(coverage),
        "output_dir": str(run),
        "task": {"name": "packaged", "instruction": "Sort the customer's message."},
        "service_llm": {
            "provider": "gemini",
            "model": "gemini-x",
            "base_url": "http://127.0.0.1:9",
        },
    }
    file = folder / "packaged.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


if __name__ == "__main__":
    main()
