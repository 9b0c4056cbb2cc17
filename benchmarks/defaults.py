"""Which settings of the demo earn their minutes: screened on two seeds, confirmed on five.

Usage: python -m benchmarks.defaults [--output output/benchmark-defaults] [--until screen]

Every arm is a whole run of the preset `offline` with some settings changed, in a folder of its own:
what is finished is not run again, and what was interrupted continues where it stopped. All arms run
on `SCREEN_SEEDS` and are ranked by the strict rate on the holdout. The best and the defaults then
run on `CONFIRM_SEEDS`, and only there the test split is read, which chose nothing: the rates of
these runs are the result. An arm takes from ten minutes to over an hour on two cores.
"""

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import processes
from benchmarks.recorded_runs import RECORD, Look, Outcome, record, recorded
from benchmarks.student import interval
from core import artifact_files
from core.reports.coverage import SERVICE, TUNED
from core.reports.loop import LoopSummary

DEFAULTS = "defaults"
SCREEN_SEEDS = (0, 1)
CONFIRM_SEEDS = (0, 1, 2, 3, 4)
_ONE_ROUND = ("rounds.max_rounds=1",)
# Settings that differ from the preset's, by the name of the arm. Add what is to be tried.
ARMS: Mapping[str, tuple[str, ...]] = {
    DEFAULTS: (),
    "one round of 1,000 rows": (*_ONE_ROUND, "synth.rows_per_round=1000"),
    "one round of 2,000 rows": (*_ONE_ROUND, "synth.rows_per_round=2000"),
    "one round of 1,000 rows, 4 passes": (
        *_ONE_ROUND, "synth.rows_per_round=1000", "training.epochs=4",
    ),
    "rank 16": (*_ONE_ROUND, "synth.rows_per_round=1000", "training.lora_rank=16"),
    "rank 4": (*_ONE_ROUND, "synth.rows_per_round=1000", "training.lora_rank=4"),
    "learning rate 1e-3": (*_ONE_ROUND, "synth.rows_per_round=1000", "training.learning_rate=1e-3"),
    "learning rate 4e-3": (*_ONE_ROUND, "synth.rows_per_round=1000", "training.learning_rate=4e-3"),
    "three samples": (*_ONE_ROUND, "synth.rows_per_round=1000", "synth.samples=3"),
    "warm start": ("rounds.warm_start=best",),
    "aim": ("synth.aim=true",),
}  # fmt: skip


def outcome_of(summary: LoopSummary) -> Outcome:
    """Take from a summary what arms are compared by."""
    looks, minutes = [], 0.0
    for entry in summary.rounds:
        minutes += entry.seconds / 60
        right = entry.report.strict[TUNED].holdout.rate.rate_percent
        looks.append(Look(entry.synthesis.total_rows, minutes, right))
    strict = summary.best.report.strict
    own = strict[SERVICE].holdout.rate.rate_percent
    test = least = None
    if (last := summary.best.report.last_look) is not None:
        tuned = last.strict[TUNED]
        test = 100 * tuned.rate.rate_percent / last.strict[SERVICE].rate.rate_percent
        least = min(field.accuracy.rate_percent for field in tuned.fields.values())
    holdout = 100 * strict[TUNED].holdout.rate.rate_percent / own
    return Outcome(tuple(looks), holdout, test, least, minutes)


def best_arm(screened: Mapping[str, Sequence[Outcome]]) -> str:
    """Return the arm with the highest mean on the holdout; the test split chooses nothing."""
    return max(screened, key=lambda arm: statistics.fmean(o.holdout for o in screened[arm]))


def screen_table(screened: Mapping[str, Sequence[Outcome]]) -> str:
    """Format what was tried, the best first."""
    lines = [
        "| arm | rows | minutes | strict on the holdout (%) | of the service's own (%) |",
        "|---|---|---|---|---|",
    ]
    ranked = sorted(screened, key=lambda a: -statistics.fmean(o.holdout for o in screened[a]))
    for arm in ranked:
        found = screened[arm]
        means = (
            statistics.fmean(o.looks[-1].rows for o in found),
            statistics.fmean(o.minutes for o in found),
            statistics.fmean(max(look.strict for look in o.looks) for o in found),
            statistics.fmean(o.holdout for o in found),
        )
        cells = (f"{means[0]:.0f}", *(f"{mean:.1f}" for mean in means[1:]))
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return "\n".join(lines)


def confirmed_table(confirmed: Mapping[str, Sequence[Outcome]]) -> str:
    """Format the test split's rates of the arms that were confirmed, with 95 % intervals."""
    lines = [
        "| arm | minutes | of the service's own, on the test split (%) | worst field (%) |",
        "|---|---|---|---|",
    ]
    for arm, found in confirmed.items():
        tests = [o.test for o in found if o.test is not None]
        fields = [o.least_field for o in found if o.least_field is not None]
        if len(tests) < 2:
            continue
        mean = interval(tests)
        minutes = statistics.fmean(o.minutes for o in found)
        lines.append(
            f"| {arm} | {minutes:.1f} | {mean.mean:.1f} [{mean.low:.1f}, {mean.high:.1f}] | "
            f"{statistics.fmean(fields):.1f} |"
        )
    return "\n".join(lines)


def run(arm: str, seed: int, folder: Path, file: Path = RECORD) -> Outcome:
    """Run an arm with a seed number, unless the record has it, and record what it reached.

    Args:
        arm: Its name in `ARMS`.
        seed: Seed number of synthesis and training.
        folder: Of the run; what was interrupted there continues.
        file: The record.

    Raises:
        SystemExit: The run failed; a repeated command continues it.
    """
    if (outcome := recorded(arm, seed, ARMS[arm], file)) is not None:
        return outcome
    if (summary := _finished(folder)) is None:
        processes.progress(f"defaults: {arm}, seed number {seed}")
        settings = (
            *ARMS[arm], f"synth.seed={seed}", f"training.seed={seed}", f"output_dir={folder}",
        )  # fmt: skip
        arguments = [part for setting in settings for part in ("--set", setting)]
        command = [sys.executable, "local_runner.py", "run", "--preset", "offline", *arguments]
        done = subprocess.run(command, stdout=sys.stderr, check=False)
        summary = _finished(folder)
        if summary is None:
            raise SystemExit(f"{arm!r} with seed number {seed} ended with {done.returncode}.")
    outcome = outcome_of(summary)
    record(arm, seed, ARMS[arm], outcome, file)
    return outcome


def _finished(folder: Path) -> LoopSummary | None:
    file = folder / artifact_files.SUMMARY
    if not file.exists():
        return None
    summary = LoopSummary.read(str(file))
    return summary if summary.stop_reason is not None else None


def main() -> None:
    """Run what is not finished, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("output/benchmark-defaults"))
    parser.add_argument("--until", choices=("screen", "confirm"), default="confirm")
    arguments = parser.parse_args()

    def outcomes(arm: str, seeds: Sequence[int]) -> list[Outcome]:
        folder = arguments.output.resolve() / arm.replace(" ", "-").replace(",", "")
        return [run(arm, seed, folder / f"seed-{seed}") for seed in seeds]

    screened = {arm: outcomes(arm, SCREEN_SEEDS) for arm in ARMS}
    print(f"{len(SCREEN_SEEDS)} seed numbers for each arm:\n\n{screen_table(screened)}\n")
    curve: dict[str, Any] = {
        arm: [[dataclasses.asdict(look) for look in o.looks] for o in found]
        for arm, found in screened.items()
    }
    file = arguments.output / "curve.json"
    file.write_text(json.dumps(curve, indent=2) + "\n", encoding="utf-8")
    if arguments.until == "screen":
        return
    arms = dict.fromkeys((best_arm(screened), DEFAULTS))
    confirmed = {arm: outcomes(arm, CONFIRM_SEEDS) for arm in arms}
    print(f"{len(CONFIRM_SEEDS)} seed numbers, the test split:\n\n{confirmed_table(confirmed)}")


if __name__ == "__main__":
    main()
