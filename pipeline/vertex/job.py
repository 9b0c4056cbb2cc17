"""A PipelineJob on Vertex AI: how far it is, and what it left behind."""

import json
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from pipeline.rounds import RoundResult
from pipeline.vertex.bucket import Bucket
from pipeline.vertex.errors import VertexError

_POLL_SECONDS = 20.0
_OFFLINE_SECONDS = 1800.0  # how long the network may be away while a job is followed
_SUCCEEDED = "PIPELINE_STATE_SUCCEEDED"
_ENDED = (_SUCCEEDED, "PIPELINE_STATE_FAILED", "PIPELINE_STATE_CANCELLED", "PIPELINE_STATE_PAUSED")
_COST_FILES = (
    ("SynthDataGen", "synthetic", "synthesis.json"),
    ("LLMEvaluator", "report", "coverage_report.json"),
)


class Task(NamedTuple):
    """One task of a job: its name, its state in words such as `running`, what went wrong."""

    name: str
    state: str
    error: str


class Job:
    """A PipelineJob that was submitted, by this process or another one.

    Args:
        client: Asks for its state.
        resource: What the service has said of it last.
    """

    def __init__(self, client: Any, resource: Any) -> None:
        self._client = client
        self._resource = resource

    @property
    def name(self) -> str:
        """The full resource name."""
        return str(self._resource.name)

    @property
    def console_url(self) -> str:
        """Where a person can look at it."""
        _, project, _, region, _, job_id = self.name.split("/")
        return (
            f"https://console.cloud.google.com/vertex-ai/locations/{region}/pipelines/runs/"
            f"{job_id}?project={project}"
        )

    def state(self) -> str:
        """Vertex AI's name of the state, asked for anew; waits where the network is away."""
        from google.api_core.exceptions import GatewayTimeout, ServiceUnavailable
        from google.api_core.retry import Retry, if_exception_type
        from requests import ConnectionError as NoConnectionError

        is_away = if_exception_type(NoConnectionError, ServiceUnavailable, GatewayTimeout)
        self._resource = self._client.get_pipeline_job(
            name=self.name, retry=Retry(predicate=is_away, timeout=_OFFLINE_SECONDS)
        )
        return str(self._resource.state.name)

    def has_ended(self) -> bool:
        """Whether it succeeded, failed or was cancelled."""
        return self.state() in _ENDED

    def tasks(self) -> list[Task]:
        """The tasks that were started when the state was asked for, by name."""
        names = self._task_names()
        details = (task for task in self._details() if task.task_name in names)
        return sorted(
            Task(task.task_name, task.state.name.lower(), task.error.message) for task in details
        )

    def follow(self, say: Callable[[str], None]) -> None:
        """Wait until it ends, and tell when a task changes its state."""
        known: set[Task] = set()
        while True:
            has_ended = self.has_ended()
            tasks = self.tasks()
            for task in tasks:
                if task not in known:
                    say(f"  {task.name}: {task.state}")
            known = set(tasks)
            if has_ended:
                return
            time.sleep(_POLL_SECONDS)

    def result(self, round: int, bucket: Bucket) -> RoundResult:
        """What the job left behind.

        Args:
            round: The round that it ran.
            bucket: Reads the files beside its artifacts.

        Raises:
            VertexError: It did not succeed; the message names the tasks that failed.
        """
        if self.state() != _SUCCEEDED:
            raise VertexError(self._failure(round))

        def read(uri: str) -> bytes:
            content = bucket.read(uri)
            if content is None:
                raise VertexError(f"{uri} does not exist any more. Start another loop.")
            return content.data

        return round_result(self._details(), round, self.name, read)

    def _details(self) -> list[Any]:
        return list(self._resource.job_detail.task_details)

    def _task_names(self) -> set[str]:
        # Vertex AI lists drivers and the DAG itself, too.
        return set(self._resource.pipeline_spec["root"]["dag"]["tasks"])

    def _failure(self, round: int) -> str:
        failed = [task for task in self.tasks() if task.error]
        causes = [f"{task.name}: {task.error}" for task in failed]
        text = "\n".join(causes) or str(self._resource.error.message or self.state())
        return f"Round {round} did not succeed.\n{text}\nLogs: {self.console_url}"


def round_result(
    task_details: Iterable[Any], round: int, run_id: str, read: Callable[[str], bytes]
) -> RoundResult:
    """The result of a round from the artifacts of its job.

    Args:
        task_details: Vertex AI's `PipelineTaskDetail` of every task.
        round: The round's number.
        run_id: The job's name.
        read: Reads a file of an artifact by its URI.
    """
    tasks = {task.task_name: task for task in task_details}

    def output(node_id: str, key: str) -> Any:
        return tasks[node_id].outputs[key].artifacts[0]

    report = output("LLMEvaluator", "report")
    costs = [
        json.loads(read(f"{output(node_id, key).uri}/{file}"))["usage"]["cost_usd"]
        for node_id, key, file in _COST_FILES
    ]
    return RoundResult(
        round=round,
        run_id=run_id,
        coverage_rate=float(report.metadata["coverage_rate"]),
        blessed=int(output("LLMEvaluator", "blessing").metadata["blessed"]) == 1,
        synthetic_uri=output("SynthDataGen", "synthetic").uri,
        report_uri=report.uri,
        model_uri=output("Trainer", "model").uri,
        pushed_uri=output("HFPusher", "pushed_model").uri,
        cost_usd=None if None in costs else sum(costs),
    )
