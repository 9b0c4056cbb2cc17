"""Runs Google's launcher of custom jobs; its text is the command of a container without our code.

The launcher keeps the name of the job that it started in a file, so that it can poll that job after
a restart. Vertex AI gives the next attempt of a task the same file: where that job has failed, the
launcher would only report the failure again. So the file is then put aside under the attempt.

Usage: `python -c TEXT LAUNCHER ARGS`.
"""

import json
import os
import runpy
import sys
from typing import Any

_FAILED = ("JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED")


def main(argv: list[str], client: Any = None) -> None:
    """Put the record of a failed job aside, and run the launcher.

    Args:
        argv: The launcher's module and its arguments.
        client: Asks for custom jobs; None for the regional one.
    """
    launcher, *flags = argv
    values = dict(zip(flags[::2], flags[1::2], strict=True))
    path = local_path(values["--gcp_resources"])
    name = job_of(path)
    if name and state_of(name, values["--location"], client) in _FAILED:
        attempt = 1
        while os.path.exists(f"{path}.attempt-{attempt}"):
            attempt += 1
        os.rename(path, f"{path}.attempt-{attempt}")
    sys.argv = [launcher, *flags]
    runpy.run_module(launcher, run_name="__main__", alter_sys=True)


def local_path(path: str) -> str:
    """Return where a file of a bucket is mounted; Vertex AI gives either form."""
    return "/gcs/" + path[len("gs://") :] if path.startswith("gs://") else path


def job_of(path: str) -> str:
    """Return the resource name of the custom job in the file; empty where there is none."""
    if not os.path.exists(path) or not os.path.getsize(path):
        return ""
    with open(path, encoding="utf-8") as file:
        [resource] = json.load(file)["resources"]
    uri = str(resource["resourceUri"])
    return uri[uri.index("projects/") :]


def state_of(name: str, region: str, client: Any) -> str:
    """Return the state of a custom job."""
    if client is None:
        from google.cloud import aiplatform_v1

        options = {"api_endpoint": f"{region}-aiplatform.googleapis.com"}
        client = aiplatform_v1.JobServiceClient(client_options=options)
    return str(client.get_custom_job(name=name).state.name)


if __name__ == "__main__":
    main(sys.argv[1:])
