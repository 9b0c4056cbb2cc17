"""A loop on Vertex AI in words."""

from pipeline.rounds import LoopResult, StopReason
from pipeline.vertex.bucket import Bucket
from pipeline.vertex.job import Job, describe_task, total_cost
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


def describe_status(state: LoopState, job: Job | None, bucket: Bucket) -> str:
    """The rounds of a loop and, where one is under way, its tasks.

    Args:
        state: The loop.
        job: The job of the round after those that have finished.
        bucket: Reads what the job has left so far.
    """
    costs = [r.cost_usd for r in state.rounds]
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
        word = job.state().removeprefix("PIPELINE_STATE_").lower()
        progress = job.progress(bucket)
        rate = progress.coverage_rate
        lines += [
            f"Round {number} of at most {state.config.rounds.max_rounds}: {word}"
            + ("" if rate is None else f", coverage rate {rate:.1f} %")
            + (f", {_cost(progress.costs_usd)} so far" if progress.costs_usd else ""),
            *(f"  {describe_task(task)}" for task in job.tasks()),
            job.console_url,
        ]
        costs += progress.costs_usd
    limit = state.config.rounds.budget_usd
    budget = "" if limit is None else f" of {limit:.2f} USD"
    lines.append(f"Cost of the service LLM: {_cost(costs)}{budget}")
    return "\n".join(lines)


def _cost(costs_usd: list[float | None]) -> str:
    total = total_cost(costs_usd)
    return "cost unknown (set service_llm.price)" if total is None else f"{total:.2f} USD"
