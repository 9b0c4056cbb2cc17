"""Runs the benchmarks and writes `benchmarks/RESULTS.md`: `python -m benchmarks [NAME ...]`.

Without names all run, except those that take more than half an hour. What is not run keeps its
section of the file.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from benchmarks.circumstances import circumstances

RESULTS = Path(__file__).with_name("RESULTS.md")
# Name of the module, and the minutes it takes on two cores.
BENCHMARKS = {
    "evaluator_intervals": 1,
    "label_intervals": 3,
    "selection": 1,
    "evaluator_hygiene": 4,
    "form_refusals": 1,
    "prompt_tokens": 1,
    "dedup_leaks": 2,
    "own_data": 3,
    "dedup": 3,
    "launcher": 5,
    "memory": 10,
    "notebook_times": 10,
    "long_report": 2,
    "interrupts": 10,
    "generation": 60,
    "output_head": 1,
    "training": 30,
    "training_sizes": 6,
    "gateway": 4,
    "serve_start": 1,
    "switching": 3,
    "shadow": 3,
    "journal": 1,
    "mutants": 1,
    "quota": 40,
    "warm_start": 60,
    "ablation": 300,
    "aimed": 180,
    "defaults": 900,
}
_LONG_MINUTES = 30
# Names of several: `limits` measures what has a goal in seconds, which no test asserts.
GROUPS = {"limits": ("own_data", "long_report", "interrupts", "serve_start", "journal")}
_HEADER = """# Benchmark results

Written by `make bench`. Every section says on which machine and day, and with which versions.
"""


def run(name: str) -> str:
    """One benchmark's section of the results.

    Raises:
        SystemExit: It failed.
    """
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}"], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"benchmarks.{name} ended with status {done.returncode}.")
    return f"## {name}\n\n{circumstances()}\n\n{done.stdout.strip()}\n"


def sections(text: str) -> dict[str, str]:
    """Return the sections of a results file by the name of their benchmark."""
    parts = re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]
    return {part.split("\n", 1)[0].removeprefix("## "): part.rstrip() + "\n" for part in parts}


def main() -> None:
    """Run the named benchmarks and write the file after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known_names = ", ".join([*BENCHMARKS, *GROUPS])
    parser.add_argument("names", nargs="*", metavar="NAME", help=known_names)
    names = [each for name in parser.parse_args().names for each in GROUPS.get(name, [name])]
    if unknown := sorted(set(names) - set(BENCHMARKS)):
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {known_names}")
    for name in names or [n for n, minutes in BENCHMARKS.items() if minutes <= _LONG_MINUTES]:
        print(f"{name} (about {BENCHMARKS[name]} min)", flush=True)
        known = sections(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
        known[name] = run(name)
        ordered = [known[key] for key in BENCHMARKS if key in known]
        RESULTS.write_text("\n".join([_HEADER, *ordered]), encoding="utf-8")


if __name__ == "__main__":
    main()
