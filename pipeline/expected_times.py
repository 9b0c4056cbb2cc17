"""How long the components of a run are likely to take, for what the terminal says remains."""

import logging
from collections.abc import Sequence
from pathlib import Path

from core.artifact_files import SUMMARY
from core.errors import UserError
from core.records import CoverageRow
from core.reports.loop import LoopSummary
from pipeline.config import Config
from pipeline.estimate import estimate_round
from pipeline.lengths import measure
from pipeline.logged import logged_rows
from pipeline.machine_time import (
    UNTUNED,
    answering_of,
    component_seconds,
    machine_speed,
    trained_rows,
)

_LOG = logging.getLogger(__name__)
# Seconds on two CPUs, whatever the model: mostly imports and graphs of Beam.
_OTHERS = {
    "CoverageExampleGen": 2.0,
    "SchemaGen": 0.1,
    "StatisticsGen": 4.0,
    "ExampleValidator": 1.0,
    "Transform": 8.0,
    "Exporter": 10.0,
    "HFPusher": 5.0,
}
_ASKING_START_SECONDS = 2.0
_MAX_ROWS = 3_000  # of more, building the requests takes seconds before anything is shown


def expected_seconds(config: Config, rows: Sequence[CoverageRow]) -> list[dict[str, float]]:
    """Estimate the seconds of each component in each round, by its id; never fail a run.

    The last run of the same model in the output folder says it; before the first one, what
    `understudy estimate` says of this machine and of the services' quotas.

    Args:
        config: The configuration.
        rows: The coverage dataset, as `with_limits` has measured it.

    Returns:
        The seconds of each round, from the first to the last that may follow; a component whose
        time cannot be told is missing. Empty for a first run of many rows, and where the estimate
        fails, which is logged.
    """
    try:
        return _recorded(config) or _estimated(config, rows)
    except Exception:
        _LOG.exception("The time that remains is not shown.")
        return []


def _estimated(config: Config, rows: Sequence[CoverageRow]) -> list[dict[str, float]]:
    if len(rows) > _MAX_ROWS:
        return []
    speed = machine_speed(config)
    if isinstance(speed, str):
        return []
    logged = logged_rows(config)
    asked = estimate_round(config, rows, 1, logged)
    answering = answering_of(config, rows)
    lengths = measure(config, rows, download=True)  # as before the run: counted once
    asking = {
        "SynthDataGen": _ASKING_START_SECONDS + 60 * asked.synthesis.minutes,
        "LLMEvaluator": _ASKING_START_SECONDS + 60 * asked.evaluation.minutes,
    }

    def of_round(round: int) -> dict[str, float]:
        model = component_seconds(config, lengths, speed, round, len(logged), answering=answering)
        return {**_OTHERS, **_cached(round), **model, **asking}

    return [of_round(number) for number in _rounds(config)]


def _recorded(config: Config) -> list[dict[str, float]]:
    """Return what components took in the last run; the Trainer as it grows with its rows."""
    try:
        rounds = LoopSummary.read(str(Path(config.output_dir, SUMMARY))).rounds
    except (UserError, OSError):
        return []
    seconds: dict[str, float] = {}
    logged = len(logged_rows(config))
    for entry in rounds:
        if entry.training.preset == config.training.preset:
            # What came from the cache says nothing of the time that it takes.
            ran = {run.node: run.seconds for run in entry.components if not run.cached}
            if "Trainer" in ran:
                ran["Trainer"] /= trained_rows(config, entry.round, logged)
            seconds = {**seconds, **ran}
    if "Trainer" not in seconds:
        return []
    per_row = seconds.pop("Trainer")
    return [
        {**seconds, **_cached(number), "Trainer": per_row * trained_rows(config, number, logged)}
        for number in _rounds(config)
    ]


def _cached(round: int) -> dict[str, float]:
    """Return what a round takes from the first one: the untuned models' answers."""
    return dict.fromkeys(UNTUNED.values() if round > 1 else (), 0.0)


def _rounds(config: Config) -> range:
    return range(1, config.rounds.max_rounds + 1)
