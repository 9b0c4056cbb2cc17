"""Runs of the search for defaults that the repository keeps: hours are not spent twice.

A line of `defaults_runs.jsonl` is one run of an arm with one seed number. It stands for a run of
today while the arm's settings and the preset's own text are the same.
"""

import hashlib
import subprocess
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from pydantic.dataclasses import dataclass

from benchmarks.circumstances import circumstances
from core import jsonl

RECORD = Path(__file__).with_name("defaults_runs.jsonl")
_ROOT = Path(__file__).parents[1]
_PRESETS = ("base", "offline")


@dataclass(frozen=True)
class Look:
    """What one round reached.

    Attributes:
        rows: Training rows so far.
        minutes: Of all rounds so far.
        strict: Right answers on the holdout, in percent.
    """

    rows: int
    minutes: float
    strict: float


@dataclass(frozen=True)
class Outcome:
    """What one run reached.

    Attributes:
        looks: One for each round.
        holdout: Strict rate of the kept round on the holdout, in percent of the service LLM's own.
        test: Likewise on the test split.
        least_field: Accuracy of the worst field on the test split, in percent.
        minutes: Of the whole run.
    """

    looks: tuple[Look, ...]
    holdout: float
    test: float | None
    least_field: float | None
    minutes: float


class RecordedRun(BaseModel):
    """One run of an arm.

    Attributes:
        arm: Its name.
        seed: The seed number of synthesis and training.
        settings: The arm's own settings.
        presets: Hash of the presets' texts that it began from.
        commit: The code that ran.
        circumstances: Machine, day and versions.
        outcome: What it reached.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    arm: str
    seed: int
    settings: tuple[str, ...]
    presets: str
    commit: str
    circumstances: str
    outcome: Outcome


def recorded(arm: str, seed: int, settings: tuple[str, ...], file: Path) -> Outcome | None:
    """Return what a run of these settings reached; None where the record has none."""
    asked = (arm, seed, settings, presets())
    for run in _read(file):
        if (run.arm, run.seed, run.settings, run.presets) == asked:
            return run.outcome
    return None


def record(arm: str, seed: int, settings: tuple[str, ...], outcome: Outcome, file: Path) -> None:
    """Add a run's line to the record."""
    run = RecordedRun(
        arm=arm,
        seed=seed,
        settings=settings,
        presets=presets(),
        commit=commit(),
        circumstances=circumstances(),
        outcome=outcome,
    )
    with file.open("a", encoding="utf-8") as lines:
        lines.write(run.model_dump_json() + "\n")


def _read(file: Path) -> list[RecordedRun]:
    if not file.exists():
        return []
    text = file.read_text(encoding="utf-8")
    return jsonl.read_rows(text, str(file), RecordedRun.model_validate_json)


def commit() -> str:
    """Return the commit that runs; nothing where the code is no clone."""
    command = ["git", "rev-parse", "--short=12", "HEAD"]
    try:
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def presets() -> str:
    """Return a hash of the presets' texts that runs begin from."""
    texts = [(_ROOT / "pipeline" / "presets" / f"{name}.yaml").read_bytes() for name in _PRESETS]
    return hashlib.sha256(b"\0".join(texts)).hexdigest()[:12]
