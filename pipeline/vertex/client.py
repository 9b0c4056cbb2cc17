"""Submits PipelineJobs and schedules with Google's client."""

import json
from collections.abc import Mapping
from typing import Any

from core.errors import UserError
from pipeline.vertex.run import Job
from pipeline.vertex.settings import FAILURE_POLICY, VertexSettings

_TYPES: dict[str, type] = {"NUMBER_INTEGER": int, "STRING": str}  # of a PipelineSpec
_TYPE_NAMES: dict[type, str] = {int: "a whole number", str: "a text"}


class Jobs:
    """Creates and finds PipelineJobs in one project and region.

    It calls the services and not `aiplatform.PipelineJob`, whose `submit` also makes a bucket where
    it finds none, and asks a third service who owns the bucket.

    Args:
        vertex: Where, as whom and with which labels.
        credentials: Google credentials; None for the application's default.
        endpoint: Another URL of the service.
    """

    def __init__(
        self, vertex: VertexSettings, *, credentials: Any = None, endpoint: str | None = None
    ) -> None:
        from google.cloud import aiplatform_v1

        self._vertex = vertex
        self._api = aiplatform_v1
        self._parent = f"projects/{vertex.project}/locations/{vertex.region}"
        connection = {
            "credentials": credentials,
            "transport": "rest",
            "client_options": {
                "api_endpoint": endpoint or f"{vertex.region}-aiplatform.googleapis.com"
            },
        }
        self._jobs = aiplatform_v1.PipelineServiceClient(**connection)
        self._schedules = aiplatform_v1.ScheduleServiceClient(**connection)

    def submit(
        self,
        template: bytes,
        job_id: str,
        parameters: Mapping[str, object],
        labels: Mapping[str, str],
    ) -> Job:
        """Start a job, or find the one that was started with this id before.

        Args:
            template: The compiled job.
            job_id: Its id in the project; the same id is never run twice.
            parameters: Runtime parameters that differ from their defaults.
            labels: Beside those of the settings.

        Raises:
            UserError: The job has no such parameter, or one of another type.
        """
        from google.api_core.exceptions import Conflict

        job = self._prepared(template, job_id, parameters, labels)
        try:
            created = self._jobs.create_pipeline_job(
                parent=self._parent, pipeline_job=job, pipeline_job_id=job_id
            )
        except Conflict:
            created = self._jobs.get_pipeline_job(name=self._name(job_id))
        return Job(self._jobs, created)

    def find(self, job_id: str) -> Job | None:
        """Return the job with an id; None where there is none."""
        from google.api_core.exceptions import NotFound

        try:
            return Job(self._jobs, self._jobs.get_pipeline_job(name=self._name(job_id)))
        except NotFound:
            return None

    def schedule(
        self,
        template: bytes,
        name: str,
        cron: str,
        *,
        parameters: Mapping[str, object],
        labels: Mapping[str, str],
        max_runs: int | None = None,
    ) -> str:
        """Run a job again and again; never two of them at once.

        Args:
            template: The compiled job.
            name: Shown in the console.
            cron: For example `CRON_TZ=Europe/Berlin 0 3 * * 1`.
            parameters: As for `submit`.
            labels: As for `submit`.
            max_runs: Maximum number of runs; None for no limit.

        Returns:
            The schedule's resource name.

        Raises:
            UserError: The job has no such parameter, or one of another type.
        """
        schedule = self._api.Schedule(
            display_name=name,
            cron=cron,
            max_run_count=max_runs,
            max_concurrent_run_count=1,
            create_pipeline_job_request=self._api.CreatePipelineJobRequest(
                parent=self._parent,
                pipeline_job=self._prepared(template, name, parameters, labels),
            ),
        )
        return str(self._schedules.create_schedule(parent=self._parent, schedule=schedule).name)

    def unschedule(self, labels: Mapping[str, str]) -> list[str]:
        """Delete the schedules whose jobs carry some labels.

        Args:
            labels: As they were given to `schedule`.

        Returns:
            The resource names of those that were deleted.
        """
        found = [
            str(schedule.name)
            for schedule in self._schedules.list_schedules(parent=self._parent)
            if labels.items() <= dict(_scheduled_job(schedule).labels).items()
        ]
        for name in found:
            self._schedules.delete_schedule(name=name)
        return found

    def _name(self, job_id: str) -> str:
        return f"{self._parent}/pipelineJobs/{job_id}"

    def _prepared(
        self,
        template: bytes,
        display_name: str,
        parameters: Mapping[str, object],
        labels: Mapping[str, str],
    ) -> Any:
        spec = json.loads(template)["pipelineSpec"]
        known = spec["root"]["inputDefinitions"]["parameters"]
        if unknown := sorted(parameters.keys() - known.keys()):
            raise UserError(
                f"The job has no parameter {unknown[0]!r}. It has: {', '.join(sorted(known))}."
            )
        for name, value in parameters.items():
            wanted = _TYPES.get(known[name]["parameterType"], type(value))
            if type(value) is not wanted:
                raise UserError(
                    f"--parameter {name}: received {value!r}. It takes {_TYPE_NAMES[wanted]}."
                )
        values: dict[str, Any] = {
            "displayName": display_name,
            "pipelineSpec": spec,
            "runtimeConfig": {
                "gcsOutputDirectory": self._vertex.root,
                "parameterValues": dict(parameters),
                "failurePolicy": FAILURE_POLICY,
            },
            "labels": {**labels, **self._vertex.labels},
            "serviceAccount": self._vertex.service_account or "",
            "network": self._vertex.network or "",
            "reservedIpRanges": list(self._vertex.reserved_ip_ranges),
        }
        if self._vertex.encryption_key:
            values["encryptionSpec"] = {"kmsKeyName": self._vertex.encryption_key}
        if self._vertex.network_attachment:
            values["pscInterfaceConfig"] = {"networkAttachment": self._vertex.network_attachment}
        return self._api.PipelineJob.from_json(json.dumps(values))


def _scheduled_job(schedule: Any) -> Any:
    return schedule.create_pipeline_job_request.pipeline_job
