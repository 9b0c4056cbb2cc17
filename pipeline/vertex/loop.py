"""A loop of rounds on Vertex AI that any machine can start, leave and take up again."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from components.errors import UserError
from pipeline.config import Config
from pipeline.rounds import LoopResult, RoundResult, run_rounds
from pipeline.vertex.bucket import Bucket
from pipeline.vertex.errors import VertexError, advice
from pipeline.vertex.job import Job
from pipeline.vertex.jobs import Jobs
from pipeline.vertex.state import LoopState, StateFile

_MAY_CHANGE = "rounds"
_SHOWN_DIFFERENCES = 5


class DetachedError(Exception):
    """A round is under way and was not waited for.

    Attributes:
        job: Its job.
    """

    def __init__(self, job: Job) -> None:
        super().__init__(job.name)
        self.job = job


class VertexLoop:
    """One loop: its state in the pipeline root, and its jobs.

    Args:
        file: The loop's state.
        state: What was read from it, or a new one.
        jobs: Submits and finds jobs.
        bucket: Reads what the jobs leave behind.
        say: Is told what happens, line by line.
    """

    def __init__(
        self,
        file: StateFile,
        state: LoopState,
        jobs: Jobs,
        bucket: Bucket,
        say: Callable[[str], None],
    ) -> None:
        self.state = state
        self._file = file
        self._jobs = jobs
        self._bucket = bucket
        self._say = say

    def run(self, *, detach: bool) -> LoopResult:
        """Run rounds until the loop stops.

        Args:
            detach: Do not wait for a round that is under way.

        Raises:
            DetachedError: A round is under way, and `detach` is set.
            VertexError: A round failed; running again tries it again.
        """

        def submit(
            round: int, history_uri: str, report_uri: str, warm_start_uri: str
        ) -> RoundResult:
            uris = {
                "history_uri": history_uri,
                "report_uri": report_uri,
                "warm_start_uri": warm_start_uri,
            }
            return self._submit(round, uris, detach=detach)

        return run_rounds(
            submit, self.state.config.rounds, finished=self.state.rounds, on_round=self._on_round
        )

    def current_job(self) -> Job | None:
        """The job of the round after those that have finished; None where none was started."""
        return self._jobs.find(self.state.job_id(len(self.state.rounds) + 1))

    def _submit(self, round: int, uris: Mapping[str, str], *, detach: bool) -> RoundResult:
        job = self._jobs.submit(
            self._file.load_job(),
            self.state.job_id(round),
            {"round": round, **uris},
            labels={"pipeline": self.state.config.name, "round": str(round)},
        )
        self._say(f"Round {round}: {job.console_url}")
        if not job.has_ended():
            if detach:
                raise DetachedError(job)
            job.follow(self._say)
        try:
            return job.result(round, self._bucket)
        except VertexError as error:
            self._keep(self.state.after_failure())
            mend = advice(str(error), self.state.config.vertex_settings)
            raise VertexError(f"{error}\n{mend}\nThe next run tries the round again.") from error

    def _on_round(self, loop: LoopResult) -> None:
        self._keep(self.state.after(loop))
        last = loop.rounds[-1]
        cost = "" if last.cost_usd is None else f", {last.cost_usd:.2f} USD"
        self._say(f"Round {last.round}: coverage rate {last.coverage_rate:.1f} %{cost}")

    def _keep(self, state: LoopState) -> None:
        self._file.save(state)
        self.state = state


def start_or_resume(
    file: StateFile, config: Config, compile: Callable[[Config], bytes]
) -> LoopState:
    """The state of a loop, which is started unless it was before.

    Args:
        file: The loop's state.
        config: What the user asks for now. Only `rounds` may differ from what the loop was started
            with, so that a loop that has stopped can be given more rounds.
        compile: Compiles a configuration; the job is kept, so that every round runs the same one.

    Raises:
        UserError: The loop was started with another configuration; the message names the keys.
    """
    state = file.load()
    if state is None:
        file.save_job(compile(config))
        state = LoopState.new(config)
        file.save(state)
        return state
    if different := [k for k in _differences(state.config, config) if k[0] != _MAY_CHANGE]:
        keys = ", ".join(".".join(key) for key in different[:_SHOWN_DIFFERENCES])
        raise UserError(
            f"The loop at {file.folder} was started with another configuration; there differ: "
            f"{keys}. Give the same values, go on with --from {file.folder}, or start another loop "
            "with --loop NAME."
        )
    if state.config.rounds != config.rounds:
        state = state.model_copy(update={"config": config, "stop_reason": None})
        file.save(state)
    return state


def _differences(one: Config, other: Config) -> list[tuple[str, ...]]:
    values = [dict(_leaves(c.model_dump(mode="json"))) for c in (one, other)]
    keys = sorted(values[0].keys() | values[1].keys())
    return [key for key in keys if values[0].get(key) != values[1].get(key)]


def _leaves(
    values: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), json.dumps(value)
