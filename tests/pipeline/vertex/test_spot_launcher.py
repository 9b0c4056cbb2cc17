"""A retried task on a spot machine starts a new custom job, a restarted one polls its own."""

import json
import sys
from types import SimpleNamespace

import pytest

from pipeline.vertex import spot_launcher

JOB = "projects/1/locations/europe-west4/customJobs/7"


@pytest.fixture
def launcher(tmp_path, monkeypatch):
    """A module in the launcher's place: it tells what it was called with."""
    (tmp_path / "fake_launcher.py").write_text("import sys\nsys.launched = list(sys.argv)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setattr(sys, "launched", None, raising=False)
    return "fake_launcher"


def client(state):
    def get_custom_job(name):
        assert name == JOB
        return SimpleNamespace(state=SimpleNamespace(name=state))

    return SimpleNamespace(get_custom_job=get_custom_job)


def launch(launcher, file, state):
    flags = ["--type", "CustomJob", "--location", "europe-west4", "--gcp_resources", str(file)]
    spot_launcher.main([launcher, *flags], client(state))
    assert sys.launched[1:] == flags


def test_a_file_of_a_bucket_is_read_where_vertex_ai_mounts_it():
    assert spot_launcher.local_path("gs://bucket/a/gcp_resources") == "/gcs/bucket/a/gcp_resources"
    assert spot_launcher.local_path("/gcs/bucket/a") == "/gcs/bucket/a"


def test_the_region_of_the_job_is_asked(monkeypatch):
    asked = []

    def regional(client_options):
        asked.append(client_options["api_endpoint"])
        return client("JOB_STATE_RUNNING")

    monkeypatch.setattr("google.cloud.aiplatform_v1.JobServiceClient", regional)
    assert spot_launcher.state_of(JOB, "europe-west4", None) == "JOB_STATE_RUNNING"
    assert asked == ["europe-west4-aiplatform.googleapis.com"]


def record(file):
    uri = f"https://europe-west4-aiplatform.googleapis.com/v1/{JOB}"
    file.write_text(json.dumps({"resources": [{"resourceType": "CustomJob", "resourceUri": uri}]}))


@pytest.mark.parametrize("state", ["JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED"])
def test_after_a_failed_job_a_new_one_is_started(launcher, tmp_path, state):
    file = tmp_path / "gcp_resources"
    for attempt in (1, 2):
        record(file)
        launch(launcher, file, state)
        assert not file.exists(), "the launcher would poll the failed job"
        assert (tmp_path / f"gcp_resources.attempt-{attempt}").exists()


def test_a_job_that_still_runs_is_polled_and_not_started_twice(launcher, tmp_path):
    file = tmp_path / "gcp_resources"
    record(file)
    launch(launcher, file, "JOB_STATE_RUNNING")
    assert JOB in file.read_text()


def test_the_first_attempt_asks_for_no_job(launcher, tmp_path):
    launch(launcher, tmp_path / "gcp_resources", "nobody asks")
    assert sys.launched[0].endswith("fake_launcher.py")
