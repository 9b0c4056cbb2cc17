"""A PipelineJob on Vertex AI: its progress and its artifacts."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from core import artifact_files
from core.reports.coverage import CoverageReport
from core.reports.synthesis import SynthesisRecord
from pipeline.rounds import RoundResult
from pipeline.vertex.bucket import Bucket
from pipeline.vertex.errors import VertexError

_POLL_SECONDS = 20.0
_OFFLINE_SECONDS = 1800.0  # how long the network may be away while a job is followed
_SUCCEEDED = "PIPELINE_STATE_SUCCEEDED"
_CANCELLED = "PIPELINE_STATE_CANCELLED"
_ENDED = (_SUCCEEDED, _CANCELLED, "PIPELINE_STATE_FAILED", "PIPELINE_STATE_PAUSED")
_FINISHED = ("SUCCEEDED", "SKIPPED")  # Vertex AI skips what the cache answers
_COST_FILES: tuple[tuple[str, str, str, type[SynthesisRecord | CoverageReport]], ...] = (
    ("SynthDataGen", "synthetic", artifact_files.SYNTHESIS, SynthesisRecord),
    ("LLMEvaluator", "report", artifact_files.COVERAGE_REPORT, CoverageReport),
)


class Task(NamedTuple):
    """One task of a job.

    Attributes:
        name: Its name in the DAG.
        state: In words such as `running`.
        error: What went wrong; empty where nothing did.
        minutes: How long it took; None while it runs.
    """

    name: str
    state: str
    error: str
    minutes: float | None


class Progress(NamedTuple):
    """What a round in flight has produced so far.

    Attributes:
        costs_usd: The cost of the replies of each finished task that asks the service LLM; None
            where a price is unknown.
        coverage_rate: In percent; None before LLMEvaluator has finished.
    """

    costs_usd: list[float | None]
    coverage_rate: float | None


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
        """Vertex AI's name of the state, queried again; waits where the network is away."""
        from google.api_core.exceptions import GatewayTimeout, ServiceUnavailable
        from google.api_core.retry import Retry, if_exception_type
        from requests import ConnectionError as NoConnectionError

        is_away = if_exception_type(NoConnectionError, ServiceUnavailable, GatewayTimeout)
        self._resource = self._client.get_pipeline_job(
            name=self.name, retry=Retry(predicate=is_away, timeout=_OFFLINE_SECONDS)
        )
        return str(self._resource.state.name)

    @property
    def was_cancelled(self) -> bool:
        """Whether it was cancelled at the last query: by one of its tasks, or by a person."""
        return bool(self._resource.state.name == _CANCELLED)

    def has_ended(self) -> bool:
        """Whether it succeeded, failed or was cancelled."""
        return self.state() in _ENDED

    def tasks(self) -> list[Task]:
        """Return the tasks that had started at the last query, by name."""
        names = self._task_names()
        details = (task for task in self._details() if task.task_name in names)
        tasks = (
            Task(task.task_name, task.state.name.lower(), task.error.message, _minutes(task))
            for task in details
        )
        return sorted(tasks, key=lambda task: task.name)

    def follow(self, say: Callable[[str], None]) -> None:
        """Wait until it ends, and report when a task changes its state."""
        known: set[Task] = set()
        while True:
            has_ended = self.has_ended()
            tasks = self.tasks()
            for task in tasks:
                if task not in known:
                    say(f"  {describe_task(task)}")
            known = set(tasks)
            if has_ended:
                return
            time.sleep(_POLL_SECONDS)

    def result(self, round: int, bucket: Bucket) -> RoundResult:
        """Return what the job left behind.

        Args:
            round: The round that it ran.
            bucket: Reads the files next to its artifacts.

        Raises:
            VertexError: It did not succeed; the message names the tasks that failed.
        """
        if self.state() != _SUCCEEDED:
            raise VertexError(self._failure(round))
        return round_result(self._details(), round, self.name, _reader(bucket))

    def progress(self, bucket: Bucket) -> Progress:
        """Return what the tasks that had finished at the last query have produced."""
        finished = {
            task.task_name: task for task in self._details() if task.state.name in _FINISHED
        }
        report = finished.get("LLMEvaluator")
        return Progress(
            _costs(finished, _reader(bucket)),
            _coverage_rate(report.outputs["report"].artifacts[0]) if report else None,
        )

    def _details(self) -> list[Any]:
        return list(self._resource.job_detail.task_details)

    def _task_names(self) -> set[str]:
        # Vertex AI lists drivers and the DAG itself, too.
        return set(self._resource.pipeline_spec["root"]["dag"]["tasks"])

    def _failure(self, round: int) -> str:
        failed = [task for task in self.tasks() if task.error]
        causes = [f"{task.name}: {task.error}" for task in failed]
        text = "\n".join(causes) or str(self._resource.error.message or self.state())
        if not causes and self.was_cancelled:
            text += ". A task cancels its job for a mistake that you can fix, or after "
            text += "vertex.task_hours; its log says which."
        return f"Round {round} did not succeed.\n{text}\nLogs: {self.console_url}"


def round_result(
    task_details: Iterable[Any], round: int, run_id: str, read: Callable[[str], bytes]
) -> RoundResult:
    """Read the result of a round from the artifacts of its job.

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
    findings_uri = f"{report.uri}/{artifact_files.COVERAGE_REPORT}"
    findings = CoverageReport.from_json(read(findings_uri).decode(), findings_uri)
    costs = _costs(tasks, read)
    return RoundResult(
        round=round,
        run_id=run_id,
        coverage_rate=_coverage_rate(report),
        blessed=int(output("LLMEvaluator", "blessing").metadata["blessed"]) == 1,
        synthetic_uri=output("SynthDataGen", "synthetic").uri,
        report_uri=report.uri,
        model_uri=output("Trainer", "model").uri,
        exports_uri=output("Exporter", "exports").uri,
        pushed_uri=output("HFPusher", "pushed_model").uri,
        cost_usd=total_cost(costs),
        sealed_prompts=findings.sealed_prompts,
    )


def describe_task(task: Task) -> str:
    """Describe a task in a few words."""
    took = "" if task.minutes is None else f", {task.minutes:.1f} min"
    because = f": {task.error}" if task.error else ""
    return f"{task.name}: {task.state}{took}{because}"


def total_cost(costs_usd: Sequence[float | None]) -> float | None:
    """Sum costs; return None where one of them is unknown."""
    known = [cost for cost in costs_usd if cost is not None]
    return sum(known) if len(known) == len(costs_usd) else None


def _costs(tasks: Mapping[str, Any], read: Callable[[str], bytes]) -> list[float | None]:
    costs = []
    for node_id, key, file, kind in _COST_FILES:
        if node_id in tasks:
            uri = f"{tasks[node_id].outputs[key].artifacts[0].uri}/{file}"
            costs.append(kind.from_json(read(uri).decode(), uri).usage.cost_usd)
    return costs


def _coverage_rate(report: Any) -> float:
    return float(report.metadata["coverage_rate"])


def _reader(bucket: Bucket) -> Callable[[str], bytes]:
    def read(uri: str) -> bytes:
        content = bucket.read(uri)
        if content is None:
            raise VertexError(f"{uri} does not exist any more. Start another loop.")
        return content.data

    return read


def _minutes(task: Any) -> float | None:
    if not task.start_time or not task.end_time:
        return None
    return float((task.end_time - task.start_time).total_seconds() / 60)
