"""The loop of rounds around the DAG: outside it, because TFX has no loop; one for both runners."""

import dataclasses
import enum
from collections.abc import Callable

from pipeline.config import RoundsSettings


class StopReason(enum.StrEnum):
    """Why the loop ended."""

    THRESHOLD_MET = "threshold_met"
    NO_PROGRESS = "no_progress"
    BUDGET_SPENT = "budget_spent"
    MAX_ROUNDS = "max_rounds"


@dataclasses.dataclass(frozen=True)
class RoundResult:
    """What one round left behind.

    Attributes:
        round: Number of the round, from 1.
        run_id: The orchestrator's name of the pipeline run.
        coverage_rate: The gate's coverage rate in percent.
        blessed: Whether the model passed the gate.
        synthetic_uri: The cumulative synthetic Examples.
        report_uri: The CoverageReport.
        model_uri: The Model.
        pushed_uri: The PushedModel; holds nothing where the model was not blessed.
        cost_usd: What the round's replies cost; None where a price is unknown.
    """

    round: int
    run_id: str
    coverage_rate: float
    blessed: bool
    synthetic_uri: str
    report_uri: str
    model_uri: str
    pushed_uri: str
    cost_usd: float | None


@dataclasses.dataclass(frozen=True)
class LoopResult:
    """All rounds of a loop.

    Attributes:
        rounds: In order, at least one.
        stop_reason: Why no further round was started; None while the loop goes on.
    """

    rounds: tuple[RoundResult, ...]
    stop_reason: StopReason | None

    @property
    def best(self) -> RoundResult:
        """The round to keep: blessed before not blessed, then the highest rate, then the first."""
        return max(self.rounds, key=lambda r: (r.blessed, r.coverage_rate, -r.round))


Submit = Callable[[int, str, str, str], RoundResult]


def run_rounds(
    submit: Submit,
    settings: RoundsSettings,
    *,
    finished: tuple[RoundResult, ...] = (),
    on_round: Callable[[LoopResult], None] = lambda loop: None,
) -> LoopResult:
    """Run rounds until the gate is passed or going on makes no sense.

    Args:
        submit: Runs one round to its end, given its number, the URIs of the synthetic Examples and
            of the CoverageReport of the round before, and the URI of the Model that its training
            starts from (empty strings in round 1).
        settings: When to stop, and whether trainings start from the best model so far.
        finished: Rounds that an earlier, interrupted loop has finished.
        on_round: Called after every round with the loop so far.

    Returns:
        The rounds and why the loop stopped.
    """
    rounds = finished
    while (reason := _stop_reason(rounds, settings)) is None:
        last = rounds[-1] if rounds else None
        result = submit(
            len(rounds) + 1,
            last.synthetic_uri if last else "",
            last.report_uri if last else "",
            _warm_start_uri(rounds, settings),
        )
        rounds = (*rounds, result)
        on_round(LoopResult(rounds, _stop_reason(rounds, settings)))
    return LoopResult(rounds, reason)


def _warm_start_uri(rounds: tuple[RoundResult, ...], settings: RoundsSettings) -> str:
    if not rounds or settings.warm_start == "scratch":
        return ""
    return LoopResult(rounds, None).best.model_uri


def _stop_reason(rounds: tuple[RoundResult, ...], settings: RoundsSettings) -> StopReason | None:
    if not rounds:
        return None
    if rounds[-1].blessed:
        return StopReason.THRESHOLD_MET
    best = max(rounds, key=lambda r: (r.coverage_rate, -r.round))
    if rounds[-1].round - best.round >= settings.patience:
        return StopReason.NO_PROGRESS
    spent = sum(r.cost_usd or 0.0 for r in rounds)
    if settings.budget_usd is not None and spent >= settings.budget_usd:
        return StopReason.BUDGET_SPENT
    if len(rounds) >= settings.max_rounds:
        return StopReason.MAX_ROUNDS
    return None
