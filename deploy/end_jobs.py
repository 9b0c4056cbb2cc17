"""End the jobs and delete the schedules of one bucket; deploy/teardown.sh runs it first.

Usage: python3 end_jobs.py PROJECT REGION gs://BUCKET, with a token in TOKEN; it needs the standard
library only. gcloud has no commands for pipelines, so it asks the APIs (ENDPOINT, if they are at
another address). A custom job of a spot machine and a job of Dataflow have no pipeline root, and
outlive the task that started them: one with the label `pipeline` is ended if it names the bucket.
"""

import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any, NamedTuple

_RUNNING = ("QUEUED", "PENDING", "RUNNING")
_TIMEOUT_SECONDS = 60
_LONGEST_REASON = 1000  # characters; SERVICE_DISABLED comes last


class _Request(NamedTuple):
    """What ends something."""

    method: str
    url: str
    body: dict[str, str]
    name: str


class _RefusedError(Exception):
    """An API has refused a request; the text is its reason."""


def main(project: str, region: str, bucket: str) -> int:
    """End what runs; return 1 where something could not be ended or found."""
    failed = False
    parent = f"projects/{project}/locations/{region}"
    try:
        for request in list(_to_end(region, parent, bucket)):
            try:
                _ask(request.url, request.method, request.body)
            except _RefusedError as error:
                failed = True
                _say(f"Not ended: {request.name}. {error}")
            else:
                _say(f"Ended {request.name}")
    except (_RefusedError, urllib.error.URLError) as error:
        _say(f"Running jobs and schedules were not looked for: {error}")
        return 1
    return int(failed)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _api(host: str) -> str:
    return os.environ.get("ENDPOINT", f"https://{host}.googleapis.com")


def _to_end(region: str, parent: str, bucket: str) -> Iterator[_Request]:
    """Give the requests; schedules first, which would start further jobs."""
    api = f"{_api(f'{region}-aiplatform')}/v1/"
    for schedule in _list(f"{api}{parent}/schedules", "schedules"):
        job = schedule.get("createPipelineJobRequest", {}).get("pipelineJob", {})
        if _is_in(job, bucket):
            yield _Request("DELETE", api + schedule["name"], {}, schedule["name"])
    for kind, prefix, belongs in (
        ("pipelineJobs", "PIPELINE_STATE_", _is_in),
        ("customJobs", "JOB_STATE_", _is_ours),
    ):
        for job in _list(f"{api}{parent}/{kind}", kind, _filter(prefix)):
            if belongs(job, bucket):
                yield _Request("POST", f"{api}{job['name']}:cancel", {}, job["name"])
    for url, job in _dataflow_jobs(parent):
        if _is_ours(job, bucket):
            yield _Request("PUT", url, {"requestedState": "JOB_STATE_CANCELLED"}, job["name"])


def _dataflow_jobs(parent: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the running jobs of Dataflow that carry our label, whole, with their URLs."""
    jobs = f"{_api('dataflow')}/v1b3/{parent}/jobs"
    try:
        found = list(_list(jobs, "jobs", "ACTIVE"))
    except _RefusedError as error:
        if "SERVICE_DISABLED" in str(error):  # then nothing runs there
            return
        raise
    for summary in found:
        if "pipeline" in summary.get("labels", {}):
            url = f"{jobs}/{summary['id']}"
            yield url, _ask(f"{url}?view=JOB_VIEW_ALL", "GET")


def _filter(prefix: str) -> str:
    return " OR ".join(f'state="{prefix}{state}"' for state in _RUNNING)


def _is_in(job: dict[str, Any], bucket: str) -> bool:
    root = str(job.get("runtimeConfig", {}).get("gcsOutputDirectory", ""))
    return root == bucket or root.startswith(f"{bucket}/")


def _is_ours(job: dict[str, Any], bucket: str) -> bool:
    """Whether a job without a pipeline root uses the bucket, by any of its addresses."""
    text, name = json.dumps(job), bucket.removeprefix("gs://")
    starts = ("gs://", "/gcs/", "storage.googleapis.com/")
    return "pipeline" in job.get("labels", {}) and any(f"{s}{name}/" in text for s in starts)


def _list(url: str, key: str, only: str = "") -> Iterator[dict[str, Any]]:
    query = {"pageSize": "100", **({"filter": only} if only else {})}
    while True:
        page = _ask(f"{url}?{urllib.parse.urlencode(query)}", "GET")
        yield from page.get(key, [])
        if not page.get("nextPageToken"):
            return
        query["pageToken"] = page["nextPageToken"]


def _ask(url: str, method: str, body: dict[str, str] | None = None) -> dict[str, Any]:
    request = urllib.request.Request(
        url,
        method=method,
        data=json.dumps(body or {}).encode() if method in ("POST", "PUT") else None,
        headers={
            "Authorization": f"Bearer {os.environ['TOKEN']}",
            "Content-Type": "application/json",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
            found: dict[str, Any] = json.loads(response.read() or b"{}")
    except urllib.error.HTTPError as error:
        reason = " ".join(error.read().decode(errors="replace").split())
        raise _RefusedError(reason[:_LONGEST_REASON]) from error
    return found


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
