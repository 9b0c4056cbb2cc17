"""Compares aimed with uniform generation on the demo task: strict rate gained per 1,000 calls.

Usage: python -m benchmarks.aimed [--pairs 20] [--rows 120] [--output output/benchmark-aimed]

For each seed number, round 1 runs once; round 2 then runs twice from its data and verdicts, once
with aim and once without. The arms of a pair differ in nothing else: same first round, same first
weights, same rows asked for. Rounds are small, so that the first leaves much to gain. Pairs are
added until the half-width of the difference's interval is 30 points or less, or there are `--pairs`
of them.

Each seed number is a process of its own (`benchmarks.aimed_pair`), which resumes in the output
folder. What is finished is kept in `aimed_pairs.jsonl` next to this file, so that hours are not
spent twice: it counts while the presets' texts are the same.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import processes
from benchmarks.circumstances import circumstances
from benchmarks.recorded_runs import commit, presets
from benchmarks.student import Interval, interval
from core import jsonl

RECORD = Path(__file__).with_name("aimed_pairs.jsonl")
ARMS = {"aimed": True, "uniform": False}
GROUPS = ("holdout", "seed", "overall")
_MIN_PAIRS = 5  # with fewer a narrow interval is luck
_HALF_WIDTH = 30.0  # points per 1,000 calls


def gains(pairs: Sequence[Mapping[str, Any]], arm: str, group: str) -> list[float]:
    """Percentage points that round 2 added per 1,000 calls of its generation, by pair."""
    return [
        1000 * (pair[arm]["rates"][group] - pair["first"]["rates"][group]) / pair[arm]["calls"]
        for pair in pairs
    ]


def table(pairs: Sequence[Mapping[str, Any]]) -> str:
    """Format the intervals, a row per group of coverage prompts and a column per arm."""
    lines = [
        "| prompts | aimed | uniform | aimed minus uniform, paired |",
        "|---|---|---|---|",
    ]
    for group in GROUPS:
        of_arm = {arm: gains(pairs, arm, group) for arm in ARMS}
        differences = [a - u for a, u in zip(of_arm["aimed"], of_arm["uniform"], strict=True)]
        cells = [str(interval(values)) for values in (*of_arm.values(), differences)]
        lines.append(f"| {group} | {' | '.join(cells)} |")
    return "\n".join(lines)


def verdict(pairs: Sequence[Mapping[str, Any]]) -> str:
    """Sum the intervals up in one sentence."""
    found = difference(pairs)
    if found.low > 0:
        return "Over all prompts, aiming gained more: the interval of the difference is above zero."
    if found.high < 0:
        return "Over all prompts, aiming gained less: the interval of the difference is below zero."
    return "Over all prompts, no difference is shown: the interval of the difference holds zero."


def difference(pairs: Sequence[Mapping[str, Any]]) -> Interval:
    """Return the paired difference of both arms over all prompts."""
    aimed, uniform = (gains(pairs, arm, "overall") for arm in ARMS)
    return interval([a - u for a, u in zip(aimed, uniform, strict=True)])


def is_narrow(pairs: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the difference is known well enough to stop."""
    if len(pairs) < _MIN_PAIRS:
        return False
    found = difference(pairs)
    return (found.high - found.low) / 2 <= _HALF_WIDTH


def pair_of(seed: int, rows: int, output: Path, file: Path) -> dict[str, Any]:
    """Return both arms of a seed number; run them, and record it, where the record has none.

    Args:
        seed: The seed number.
        rows: Rows that a round adds.
        output: Folder of the runs.
        file: The record.
    """
    asked = (presets(), rows, seed)
    kept = jsonl.read_rows(file.read_text(encoding="utf-8"), str(file), json.loads)
    for line in kept:
        if (line["presets"], line["rows"], line["seed"]) == asked:
            return dict(line["pair"])
    folder = output / f"presets-{presets()}" / f"rows-{rows}" / f"seed-{seed}"
    pair = processes.ours("aimed_pair", str(seed), str(rows), str(folder))
    line = {
        "presets": presets(),
        "rows": rows,
        "seed": seed,
        "commit": commit(),
        "circumstances": circumstances(),
        "pair": pair,
    }
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(line) + "\n")
    return pair


def main() -> None:
    """Run all pairs and print a line for each, then the intervals."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=20, choices=range(2, 21), metavar="2..20")
    parser.add_argument("--rows", type=int, default=120, help="rows that a round adds")
    parser.add_argument("--output", type=Path, default=Path("output/benchmark-aimed"))
    arguments = parser.parse_args()
    pairs: list[dict[str, Any]] = []
    for seed in range(arguments.pairs):
        processes.progress(f"aimed: pair {seed + 1} of {arguments.pairs}")
        pairs.append(pair_of(seed, arguments.rows, arguments.output, RECORD))
        if is_narrow(pairs):
            break
    print(
        f"{len(pairs)} pairs, {arguments.rows} rows a round. Strict rate in percent of all"
        " coverage prompts, after round 1 and after either round 2:\n"
    )
    print("| pair | round 1 | aimed | uniform | calls, aimed | calls, uniform |")
    print("|---|---|---|---|---|---|")
    for seed, pair in enumerate(pairs):
        rates = [f"{pair[run]['rates']['overall']:.1f}" for run in ("first", *ARMS)]
        calls = [str(pair[arm]["calls"]) for arm in ARMS]
        print(f"| {seed} | {' | '.join([*rates, *calls])} |")
    print("\nPercentage points gained per 1,000 calls of generation, mean and 95 % interval:\n")
    print(table(pairs))
    print(f"\n{verdict(pairs)}")


if __name__ == "__main__":
    main()
