"""The loop of rounds around the DAG: outside it, because TFX has no loop; one for both runners."""

import dataclasses
from collections.abc import Callable

from core.reports.loop import StopReason
from pipeline.config import RoundsSettings


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
        exports_uri: The Exports; holds nothing where the model was not blessed.
        sealed_prompts: Prompts of the test split that were not judged.
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
    exports_uri: str = ""  # earlier versions kept none
    sealed_prompts: int = 0


@dataclasses.dataclass(frozen=True)
class LoopResult:
    """All rounds of a loop.

    Attributes:
        rounds: In order, at least one.
        stop_reason: Why no further round was started; None while the loop continues.
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
    """Run rounds until the gate is passed or further rounds make no sense.

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


def take_last_look(
    loop: LoopResult,
    look: Callable[[int, str, str, str, int], RoundResult],
    settings: RoundsSettings,
) -> LoopResult:
    """Judge the test split with the kept round, once its loop has ended.

    A blessed round ends the loop, so it has done that itself. Any other kept round runs again: all
    of it comes from the cache but the evaluation.

    Args:
        loop: A loop that has ended.
        look: As `submit` of `run_rounds`, with the number of rounds that looked at the holdout.
        settings: What the loop ran with.
    """
    best = loop.best
    if not best.sealed_prompts:
        return loop
    before = loop.rounds[: best.round - 1]
    result = look(
        best.round,
        before[-1].synthetic_uri if before else "",
        before[-1].report_uri if before else "",
        _warm_start_uri(before, settings),
        len(loop.rounds),
    )
    rounds = tuple(result if r.round == best.round else r for r in loop.rounds)
    return LoopResult(rounds, loop.stop_reason)


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


def describe_stop(loop: LoopResult) -> str:
    """Say why a loop stopped, and which round is its best."""
    n_rounds = len(loop.rounds)
    reasons = {
        None: "the loop continues",
        StopReason.THRESHOLD_MET: "the threshold is reached",
        StopReason.NO_PROGRESS: "the last rounds made no progress (rounds.patience)",
        StopReason.BUDGET_SPENT: "the budget is spent (rounds.budget_usd)",
        StopReason.MAX_ROUNDS: f"rounds.max_rounds ({n_rounds}) is reached",
    }
    return (
        f"Stopped after round {n_rounds}: {reasons[loop.stop_reason]}.\n"
        f"Best: round {loop.best.round}, coverage rate {loop.best.coverage_rate:.1f} %."
    )
