"""End the jobs and delete the schedules of one bucket; deploy/teardown.sh runs it first.

Usage: python3 end_jobs.py PROJECT REGION gs://BUCKET, with a token in TOKEN; it needs the standard
library only. gcloud has no commands for pipelines, so it asks their API (ENDPOINT, if it is another
one). A custom job of a spot machine has no pipeline root: one with the label `pipeline` is ended if
its arguments name the bucket.
"""

import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

_RUNNING = ("QUEUED", "PENDING", "RUNNING")
_TIMEOUT_SECONDS = 60


def main(project: str, region: str, bucket: str) -> int:
    """End what runs; return 1 where something could not be ended or found."""
    api = os.environ.get("ENDPOINT", f"https://{region}-aiplatform.googleapis.com") + "/v1/"
    parent = f"projects/{project}/locations/{region}"
    failed = False
    try:
        for name, method in list(_to_end(api, parent, bucket)):
            try:
                _ask(api + name, method)
            except urllib.error.HTTPError as error:
                failed = True
                _say(f"Not ended: {name}. {_reason(error)}")
            else:
                _say(f"Ended {name}")
    except urllib.error.URLError as error:
        reason = _reason(error) if isinstance(error, urllib.error.HTTPError) else error.reason
        _say(f"Running jobs and schedules were not looked for: {reason}")
        return 1
    return int(failed)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _to_end(api: str, parent: str, bucket: str) -> Iterator[tuple[str, str]]:
    """Give path and method of each request; schedules first, which would start further jobs."""
    for schedule in _list(api, parent, "schedules"):
        job = schedule.get("createPipelineJobRequest", {}).get("pipelineJob", {})
        if _is_in(job, bucket):
            yield schedule["name"], "DELETE"
    for job in _list(api, parent, "pipelineJobs", _filter("PIPELINE_STATE_")):
        if _is_in(job, bucket):
            yield f"{job['name']}:cancel", "POST"
    for job in _list(api, parent, "customJobs", _filter("JOB_STATE_")):
        if "pipeline" in job.get("labels", {}) and _names(job.get("jobSpec", {}), bucket):
            yield f"{job['name']}:cancel", "POST"


def _filter(prefix: str) -> str:
    return " OR ".join(f'state="{prefix}{state}"' for state in _RUNNING)


def _is_in(job: dict[str, Any], bucket: str) -> bool:
    root = str(job.get("runtimeConfig", {}).get("gcsOutputDirectory", ""))
    return root == bucket or root.startswith(f"{bucket}/")


def _names(job_spec: dict[str, Any], bucket: str) -> bool:
    """Whether a custom job uses the bucket, by its address or by where Vertex AI mounts it."""
    text = json.dumps(job_spec)
    return any(f"{start}{bucket.removeprefix('gs://')}/" in text for start in ("gs://", "/gcs/"))


def _list(api: str, parent: str, kind: str, only: str = "") -> Iterator[dict[str, Any]]:
    query = {"pageSize": "100", **({"filter": only} if only else {})}
    while True:
        page = _ask(f"{api}{parent}/{kind}?{urllib.parse.urlencode(query)}", "GET")
        yield from page.get(kind, [])
        if not page.get("nextPageToken"):
            return
        query["pageToken"] = page["nextPageToken"]


def _ask(url: str, method: str) -> dict[str, Any]:
    request = urllib.request.Request(
        url,
        method=method,
        data=b"{}" if method == "POST" else None,
        headers={
            "Authorization": f"Bearer {os.environ['TOKEN']}",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
        found: dict[str, Any] = json.loads(response.read() or b"{}")
        return found


def _reason(error: urllib.error.HTTPError) -> str:
    return " ".join(error.read().decode(errors="replace").split())[:300]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
