"""Runs tasks of a compiled job on spot machines, by Google's launcher of custom jobs.

A PipelineSpec cannot say how a machine is bought; a Vertex AI custom job can. So the task becomes
what `create_custom_training_job_from_component` of google-cloud-pipeline-components makes of one:
a small container that starts the custom job and waits for it.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.vertex.settings import VertexSettings

LAUNCHER_IMAGE = "gcr.io/ml-pipeline/google-cloud-pipeline-components:2.22.0"
LAUNCHER = "google_cloud_pipeline_components.container.v1.custom_job.launcher"
LAUNCHED_KEY = "gcp_resources"
"""Output parameter in which the launcher keeps the custom job's name."""

_PAYLOAD_FLAG = "--payload"
# In the payload, the description of the execution is inside a JSON string.
_PLACEHOLDER, _ESCAPED_PLACEHOLDER = "{{$}}", "{{$.json_escape[1]}}"
_ACCOUNT_OF_THE_PIPELINE = "{{$.pipeline_service_account}}"
# The task ends itself and its job first: Vertex AI would only end the custom job, and retry it.
_GRACE_HOURS = 0.5
_STARTER = Path(__file__).with_name("spot_launcher.py")


class Placement(NamedTuple):
    """Where a task runs.

    Attributes:
        image: The image of its code.
        spot_machine_type: The spot machine it runs on; empty where it runs on an ordinary one.
    """

    image: str
    spot_machine_type: str


def run_on_spot_machines(
    job: dict[str, Any], node_ids: Iterable[str], vertex: VertexSettings, labels: Mapping[str, str]
) -> None:
    """Let custom jobs on spot machines run some tasks of a job.

    Args:
        job: The compiled job, which is changed.
        node_ids: The tasks.
        vertex: The machines; `spot_machine_type` must be set.
        labels: Labels of the custom jobs.
    """
    spec = job["pipelineSpec"]
    for node_id in node_ids:
        component = spec["components"][node_id]
        parameters = component["outputDefinitions"].setdefault("parameters", {})
        parameters[LAUNCHED_KEY] = {"parameterType": "STRING"}
        executor = spec["deploymentSpec"]["executors"][component["executorLabel"]]
        payload = {
            "display_name": f"{spec['pipelineInfo']['name']}-{node_id}",
            "job_spec": _job_spec(executor["container"], vertex),
            "labels": dict(labels),
        }
        if vertex.encryption_key:
            payload["encryption_spec"] = {"kms_key_name": vertex.encryption_key}
        executor["container"] = _launcher(payload, vertex)


def placement(container: Mapping[str, Any]) -> Placement:
    """Where a container of a compiled job runs."""
    if LAUNCHER not in container["command"]:
        return Placement(container["image"], "")
    payload = json.loads(container["args"][container["args"].index(_PAYLOAD_FLAG) + 1])
    [pool] = payload["job_spec"]["worker_pool_specs"]
    return Placement(pool["container_spec"]["image_uri"], pool["machine_spec"]["machine_type"])


def _job_spec(container: Mapping[str, Any], vertex: VertexSettings) -> dict[str, Any]:
    machine: dict[str, Any] = {"machine_type": vertex.spot_machine_type}
    if vertex.accelerator_type:
        machine["accelerator_type"] = vertex.accelerator_type
        machine["accelerator_count"] = vertex.accelerator_count
    args = [_ESCAPED_PLACEHOLDER if arg == _PLACEHOLDER else arg for arg in container["args"]]
    spec = {
        "worker_pool_specs": [
            {
                "machine_spec": machine,
                "replica_count": 1,
                "container_spec": {
                    "image_uri": container["image"],
                    "command": container["command"],
                    "args": args,
                    "env": container.get("env", []),
                },
            }
        ],
        "scheduling": {
            "strategy": "SPOT",
            "timeout": f"{round(3600 * (vertex.task_hours + _GRACE_HOURS))}s",
        },
        "service_account": vertex.service_account or _ACCOUNT_OF_THE_PIPELINE,
    }
    attachment = vertex.network_attachment
    optional = {
        "psc_interface_config": {"network_attachment": attachment} if attachment else None,
        "network": vertex.network,
        "reserved_ip_ranges": list(vertex.reserved_ip_ranges),
    }
    return spec | {key: value for key, value in optional.items() if value}


def _launcher(payload: Mapping[str, Any], vertex: VertexSettings) -> dict[str, Any]:
    return {
        "image": LAUNCHER_IMAGE,
        "command": ["python3", "-u", "-c", _STARTER.read_text(encoding="utf-8"), LAUNCHER],
        "args": [
            "--type",
            "CustomJob",
            _PAYLOAD_FLAG,
            json.dumps(payload, sort_keys=True),
            "--project",
            vertex.project,
            "--location",
            vertex.region,
            "--gcp_resources",
            f"{{{{$.outputs.parameters['{LAUNCHED_KEY}'].output_file}}}}",
        ],
    }
