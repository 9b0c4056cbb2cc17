"""How long the components of a run are likely to take, for what the terminal says remains."""

import logging
from collections.abc import Sequence
from pathlib import Path

import pydantic

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

    The last run of the same model in the output folder says it; where it does not, what
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
        recorded, unknown = _recorded(config)
    except Exception:
        _LOG.exception("The times of the last run cannot be read.")
        recorded, unknown = [], set()
    if recorded and not unknown:
        return recorded
    try:
        estimated = _estimated(config, rows)
    except Exception:
        _LOG.exception("The time that remains is not estimated.")
        return recorded
    if not recorded or not estimated:
        return recorded or estimated
    return [{**guess, **took} for guess, took in zip(estimated, recorded, strict=True)]


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


def _recorded(config: Config) -> tuple[list[dict[str, float]], set[str]]:
    """Return what components took in the last run, and those of which it says nothing.

    What grows with the rows is counted by the row: the last run may have had other settings.
    """
    try:
        summary = LoopSummary.read(str(Path(config.output_dir, SUMMARY)))
        then = Config.model_validate(summary.config)
    except (UserError, OSError, pydantic.ValidationError):
        return [], set()
    seconds: dict[str, float] = {}
    nodes: set[str] = set()
    logged = len(logged_rows(config))
    for entry in summary.rounds:
        nodes.update(run.node for run in entry.components)
        if entry.training.preset == config.training.preset:
            # What came from the cache says nothing of the time that it takes.
            ran = {run.node: run.seconds for run in entry.components if not run.cached}
            by_row = _rows_of(then, entry.round, logged)
            seconds |= {node: taken / by_row.get(node, 1.0) for node, taken in ran.items()}
    if "Trainer" not in seconds:
        return [], set()

    def of_round(round: int) -> dict[str, float]:
        by_row = _rows_of(config, round, logged)
        taken = {node: each * by_row.get(node, 1.0) for node, each in seconds.items()}
        return {**taken, **_cached(round)}

    return [of_round(number) for number in _rounds(config)], nodes - seconds.keys()


def _rows_of(config: Config, round: int, logged: int) -> dict[str, float]:
    """Return the rows that a component's time grows with, by its id."""
    return {
        "SynthDataGen": config.synth.rows_per_round,
        "Trainer": trained_rows(config, round, logged),
    }


def _cached(round: int) -> dict[str, float]:
    """Return what a round takes from the first one: the untuned models' answers."""
    return dict.fromkeys(UNTUNED.values() if round > 1 else (), 0.0)


def _rounds(config: Config) -> range:
    return range(1, config.rounds.max_rounds + 1)
