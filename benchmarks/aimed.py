"""Compares failure-aimed with uniform generation on the demo task: coverage gained per 1,000 calls.

Usage: python -m benchmarks.aimed [--preset offline] [--seeds 5] [--set KEY.PATH=VALUE ...]

For each seed number, round 1 runs once; round 2 then runs twice from its data and report, once with
aim and once without. The arms of a pair differ in nothing else. What is finished comes from TFX's
cache when the command is repeated with the same output folder.
"""

import argparse
import json
import math
import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.config import Config, load_config
from pipeline.local_service import standin_if_wanted
from pipeline.output_dir import OutputPaths, claim
from pipeline.rounds import RoundResult

_ARMS = {"aimed": True, "uniform": False}
_GROUPS = ("holdout", "seed", "overall")
# Student's t, 97.5 % quantile by degrees of freedom; from 30 on the normal one is near enough.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
      2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
      2.052, 2.048, 2.045)  # fmt: skip


class Interval(NamedTuple):
    """A mean and its 95 % confidence interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"


def interval(values: Sequence[float]) -> Interval:
    """Student's t interval for the mean of at least two values."""
    mean = statistics.fmean(values)
    freedom = len(values) - 1
    quantile = _T[freedom - 1] if freedom <= len(_T) else 1.96
    half = quantile * statistics.stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def main() -> None:
    """Runs all pairs, prints a line per seed number and the intervals, and writes them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="offline")
    parser.add_argument("--seeds", type=int, default=5, help="number of pairs, at least 2")
    parser.add_argument("--output", type=Path, default=Path("output/benchmark-aimed"))
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    arguments = parser.parse_args()
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    pairs = []
    with standin_if_wanted(load_config(arguments.preset, arguments.overrides)):
        for seed in range(arguments.seeds):
            folder = arguments.output.resolve() / f"seed-{seed}"
            pair = run_pair(arguments.preset, arguments.overrides, seed, folder)
            pairs.append(pair)
            print(json.dumps({"seed": seed, **pair}), flush=True)
    summary = summarize(pairs)
    for group, lines in summary.items():
        for name, values in lines.items():
            print(f"{group}: {name}: {values} points per 1,000 calls")
    result = {"pairs": pairs, "summary": summary}
    (arguments.output / "result.json").write_text(json.dumps(result, indent=2) + "\n")


def run_pair(preset: str, overrides: Sequence[str], seed: int, folder: Path) -> dict[str, Any]:
    """One round 1 and both rounds 2.

    Returns:
        For each arm the calls of its round 2, and the gains in percentage points by group.
    """
    first = _run(preset, overrides, seed, folder / "first", aim=False, after=None)
    before = _rates(first)
    pair = {}
    for arm, aim in _ARMS.items():
        second = _run(preset, overrides, seed, folder / arm, aim=aim, after=first)
        rates = _rates(second)
        synthesis = json.loads((Path(second.synthetic_uri) / "synthesis.json").read_text())
        pair[arm] = {
            "calls": synthesis["usage"]["calls"],
            "gain_points": {group: rates[group] - before[group] for group in _GROUPS},
        }
    return pair


def summarize(pairs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Interval]]:
    """Intervals of each arm's gain per 1,000 calls, and of the difference within pairs."""
    summary = {}
    for group in _GROUPS:
        gains = {
            arm: [1000 * p[arm]["gain_points"][group] / p[arm]["calls"] for p in pairs]
            for arm in _ARMS
        }
        differences = [a - u for a, u in zip(gains["aimed"], gains["uniform"], strict=True)]
        summary[group] = {arm: interval(values) for arm, values in gains.items()} | {
            "aimed minus uniform": interval(differences)
        }
    return summary


def _run(
    preset: str,
    overrides: Sequence[str],
    seed: int,
    folder: Path,
    *,
    aim: bool,
    after: RoundResult | None,
) -> RoundResult:
    from pipeline.local_run import LocalRounds

    config: Config = load_config(
        preset,
        [
            *overrides,
            f"output_dir={folder}",
            f"synth.seed={seed}",
            f"synth.aim={str(aim).lower()}",
        ],
    )
    with claim(OutputPaths(folder).root) as paths:
        submit = LocalRounds(config, paths).submit
        if after is None:
            return submit(1, "", "")
        return submit(2, after.synthetic_uri, after.report_uri)


def _rates(result: RoundResult) -> dict[str, float]:
    report = json.loads((Path(result.report_uri) / "coverage_report.json").read_text())
    return {group: report["models"]["tuned"][group]["rate_percent"] for group in _GROUPS}


if __name__ == "__main__":
    main()
