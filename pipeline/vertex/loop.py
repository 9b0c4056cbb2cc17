"""A loop of rounds on Vertex AI that any machine can start, detach from and resume."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from core.errors import UserError
from pipeline.config import Config
from pipeline.rounds import LoopResult, RoundResult, run_rounds, take_last_look
from pipeline.vertex.bucket import Bucket
from pipeline.vertex.client import Jobs
from pipeline.vertex.errors import VertexError, advice
from pipeline.vertex.run import Job
from pipeline.vertex.state import LoopState, StateFile

_MAY_CHANGE = "rounds"
_SHOWN_DIFFERENCES = 5


class DetachedError(Exception):
    """A round is in flight and was not waited for.

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
        say: Receives each event as one line.
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

    def run(self, *, detach: bool, on_start: Callable[[], None] = lambda: None) -> LoopResult:
        """Run rounds until the loop stops.

        Args:
            detach: Do not wait for a round in flight.
            on_start: Called before the job of the first round is started.

        Raises:
            DetachedError: A round is in flight, and `detach` is set.
            VertexError: A round failed; running again tries it again.
        """

        def submit(
            round: int, history_uri: str, report_uri: str, warm_start_uri: str, looks: int = 0
        ) -> RoundResult:
            uris = {
                "history_uri": history_uri,
                "report_uri": report_uri,
                "warm_start_uri": warm_start_uri,
            }
            is_new = not self.state.rounds and self.state.attempt == 1
            if is_new and self.current_job() is None:
                on_start()  # before: a reply that says that the job was started may be lost
            job = self._submit(round, uris, looks=looks)
            return self._result(job, round, detach=detach)

        settings = self.state.config.rounds
        loop = run_rounds(submit, settings, finished=self.state.rounds, on_round=self._on_round)
        if not self.state.config.vertex_settings.enable_caching:
            # Without the cache the kept round would be trained again, to another model.
            return loop
        looked = take_last_look(loop, submit, settings)
        if looked is not loop:
            self._keep(self.state.after(looked))
        return looked

    def current_job(self) -> Job | None:
        """Return the job of the next round, or of the last look; None where none was started."""
        return self._jobs.find(self.state.job_id(*self.state.next_round()))

    def _submit(self, round: int, uris: Mapping[str, str], *, looks: int) -> Job:
        job = self._jobs.submit(
            self._file.load_job(),
            self.state.job_id(round, looks),
            {"round": round, **uris} | ({"looks": looks} if looks else {}),
            labels={"pipeline": self.state.config.name, "round": str(round)},
        )
        last = ", judged on the split test" if looks else ""
        self._say(f"Round {round}{last}: {job.console_url}")
        return job

    def _result(self, job: Job, round: int, *, detach: bool) -> RoundResult:
        if not job.has_ended():
            if detach:
                raise DetachedError(job)
            job.follow(self._say)
        try:
            return job.result(round, self._bucket)
        except VertexError as error:
            self._keep(self.state.after_failure())
            fix = advice(str(error), self.state.config.vertex_settings)
            again = "The next run"
            if job.was_cancelled:
                again = "The next run without --max-failures"
            raise VertexError(f"{error}\n{fix}\n{again} tries the round again.") from error

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
    """Load the state of a loop, and start the loop where there is none.

    Args:
        file: The loop's state.
        config: What the user asks for now. Only `rounds` may differ from what the loop was started
            with, so that a loop that has stopped can be given more rounds.
        compile: Compiles a configuration; the job is kept, so that every round runs the same one.

    Raises:
        UserError: The loop was started with a different configuration; the message names the keys.
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
            f"The loop at {file.folder} was started with a different configuration; these "
            f"settings differ: {keys}. Give the same values, resume with --from {file.folder}, or "
            "start a new loop with --loop NAME."
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
