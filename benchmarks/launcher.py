"""What the pipeline itself costs: the `smoke` run, the same run from the cache, and the libraries.

`python -m benchmarks.launcher` prints a Markdown table; it takes about five minutes. The runs are
those of `make run PRESET=smoke`, in processes of their own. "importing" is a process that only
loads what every run has to load: the part of a cached run that no code here could save. "CPU" is
the time of all processes on all processors.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_IMPORTS = "import ml_metadata, tensorflow, tfx.orchestration.local.local_dag_runner"
_LIMITS_SECONDS = {"smoke run": 60, "the same from the cache": 25}


def main() -> None:
    """Run everything in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    measured: dict[str, list[tuple[float, float]]] = {}
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as output:
            run = ["local_runner.py", "run", "--preset", "smoke", "--set", f"output_dir={output}"]
            # In turns, so that a busy minute of the machine meets all of them.
            for name, arguments in (
                ("importing TFX and TensorFlow", ["-c", _IMPORTS]),
                ("smoke run", run),
                ("the same from the cache", run),
            ):
                measured.setdefault(name, []).append(_timed(arguments))
    print("| | seconds | CPU seconds | times importing | limit |")
    print("|---|---|---|---|---|")
    least = min(seconds for seconds, _ in next(iter(measured.values())))
    for name, times in measured.items():
        seconds, cpu = (min(column) for column in zip(*times, strict=True))
        limit = _LIMITS_SECONDS.get(name)
        kept = "" if limit is None else f"{limit} s: {'kept' if seconds < limit else 'missed'}"
        print(f"| {name} | {seconds:.1f} | {cpu:.1f} | {seconds / least:.1f} | {kept} |")
    print(f"\nThe best of {repeats}. The tiny Gemma was made before.")


def _timed(arguments: Sequence[str]) -> tuple[float, float]:
    started, cpu = time.monotonic(), _cpu_seconds()
    subprocess.run([sys.executable, *arguments], cwd=_ROOT, check=True, capture_output=True)
    return time.monotonic() - started, _cpu_seconds() - cpu


def _cpu_seconds() -> float:
    """Of processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
