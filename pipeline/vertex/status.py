"""A loop on Vertex AI in words."""

from pipeline.rounds import LoopResult, StopReason
from pipeline.vertex.job import Job
from pipeline.vertex.state import LoopState

_REASONS = {
    StopReason.THRESHOLD_MET: "the threshold is reached",
    StopReason.NO_PROGRESS: "the last rounds brought no progress",
    StopReason.BUDGET_SPENT: "the budget is spent",
    StopReason.MAX_ROUNDS: "that were all rounds that are allowed",
}


def describe_stop(loop: LoopResult) -> str:
    """Why a loop stopped, and its best round."""
    best = loop.best
    reason = _REASONS[loop.stop_reason] if loop.stop_reason else "it goes on"
    return "\n".join(
        [
            f"Stopped after round {len(loop.rounds)}: {reason}.",
            f"Best: round {best.round}, coverage rate {best.coverage_rate:.1f} %.",
            f"Model: {best.model_uri}",
            f"Report: {best.report_uri}/evaluation.html",
            f"Cost of the service LLM: {_cost([r.cost_usd for r in loop.rounds])}",
        ]
    )


def describe_status(state: LoopState, job: Job | None) -> str:
    """The rounds of a loop and, where one is under way, its tasks.

    Args:
        state: The loop.
        job: The job of the round after those that have finished.
    """
    lines = [
        f"Round {r.round}: coverage rate {r.coverage_rate:.1f} %, "
        f"{'blessed' if r.blessed else 'not blessed'}, {_cost([r.cost_usd])}"
        for r in state.rounds
    ]
    if state.stop_reason:
        return "\n".join([*lines, describe_stop(LoopResult(state.rounds, state.stop_reason))])
    number = len(state.rounds) + 1
    if job is None:
        lines.append(f"Round {number}: not started. Go on with the command run.")
    else:
        state_name = job.state().removeprefix("PIPELINE_STATE_").lower()
        lines += [
            f"Round {number} of at most {state.config.rounds.max_rounds}: {state_name}",
            *(f"  {task.name}: {task.state}{_because(task.error)}" for task in job.tasks()),
            job.console_url,
        ]
    if state.rounds:
        lines.append(f"Cost of the finished rounds: {_cost([r.cost_usd for r in state.rounds])}")
    return "\n".join(lines)


def _because(error: str) -> str:
    return f": {error}" if error else ""


def _cost(costs: list[float | None]) -> str:
    known = [cost for cost in costs if cost is not None]
    if len(known) < len(costs):
        return "cost unknown (set service_llm.price)"
    return f"{sum(known):.2f} USD"
