"""Describes a loop on Vertex AI."""

from core.artifact_files import EVALUATION_PAGE
from pipeline.rounds import LoopResult, describe_stop
from pipeline.vertex.bucket import Bucket
from pipeline.vertex.run import Job, describe_task, total_cost
from pipeline.vertex.state import LoopState


def describe_result(loop: LoopResult) -> str:
    """Say why a loop stopped, what its best round left, and what it cost."""
    best = loop.best
    return "\n".join(
        [
            describe_stop(loop),
            f"Model: {best.model_uri}",
            f"Report: {best.report_uri}/{EVALUATION_PAGE}",
            f"Cost of the service LLM: {_cost([r.cost_usd for r in loop.rounds])}",
        ]
    )


def describe_status(state: LoopState, job: Job | None, bucket: Bucket) -> str:
    """Describe the rounds of a loop and the tasks of the round in flight.

    Args:
        state: The loop.
        job: The job of the next round; after the last round, the one that judges the best round on
            the split test.
        bucket: Reads what the job has left so far.
    """
    costs = [r.cost_usd for r in state.rounds]
    lines = [
        f"Round {r.round}: coverage rate {r.coverage_rate:.1f} %, "
        f"{'blessed' if r.blessed else 'not blessed'}, {_cost([r.cost_usd])}"
        for r in state.rounds
    ]
    number, looks = state.next_round()
    if state.stop_reason and (job is None or job.has_ended()):
        return "\n".join([*lines, describe_result(LoopResult(state.rounds, state.stop_reason))])
    if job is None:
        lines.append(f"Round {number}: not started. Go on with the command run.")
    else:
        word = job.state().removeprefix("PIPELINE_STATE_").lower()
        progress = job.progress(bucket)
        rate = progress.coverage_rate
        maximum = state.config.rounds.max_rounds
        last = ", judged on the split test" if looks else f" of at most {maximum}"
        lines += [
            f"Round {number}{last}: {word}"
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
