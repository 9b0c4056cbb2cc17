"""The Beam steps on Dataflow: submitted by Beam's real client to a service on loopback."""

from pathlib import Path

import google.auth
import pytest
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.utils import retry
from google.auth.credentials import AnonymousCredentials

from pipeline.vertex.compile import compile_job
from tests.pipeline.vertex.conftest import BUCKET, IMAGE, vertex_config
from tests.pipeline.vertex.fake_cloud import FakeCloud
from tests.pipeline.vertex.local_vertex import LocalVertex

KEY = "projects/p/locations/europe-west4/keyRings/r/cryptoKeys/k"
REPOSITORY = Path(__file__).parents[3]
# The name of a value, and the number of it that the client of newer Beams sends.
BATCH = ("JOB_TYPE_BATCH", 1)
PRIVATE = ("WORKER_IP_PRIVATE", 2)


@pytest.fixture
def cloud(monkeypatch):
    cloud = FakeCloud()
    cloud.buckets["team-bucket"] = {}
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud.url)
    monkeypatch.setattr(google.auth, "default", lambda **_: (AnonymousCredentials(), "team"))
    monkeypatch.setattr(retry.Clock, "sleep", lambda self, seconds: None)
    yield cloud
    cloud.close()


def test_a_step_on_dataflow_is_submitted_as_it_is_configured(cloud, tmp_path):
    config = vertex_config(
        "smoke",
        f"vertex.repository_dir={REPOSITORY}",
        f"vertex.dataflow_image={IMAGE}-dataflow",
        "vertex.dataflow_max_workers=7",
        "vertex.dataflow_subnetwork=regions/europe-west4/subnetworks/private",
        "vertex.service_account=tasks@team.iam.gserviceaccount.com",
        "vertex.labels={team: support}",
        f"vertex.encryption_key={KEY}",
    )
    service = LocalVertex(compile_job(config), BUCKET, tmp_path / "bucket")
    executor = service.spec["deploymentSpec"]["executors"]["CoverageExampleGen_executor"]
    executor["container"]["args"] += [  # the last of two options counts
        f"--temp_location={BUCKET}/dataflow/temp",
        f"--staging_location={BUCKET}/dataflow/staging",
        f"--dataflow_endpoint={cloud.url.replace('127.0.0.1', 'localhost')}",
    ]
    service.run_task("CoverageExampleGen", "run", {}, {})
    [job] = cloud.dataflow_jobs
    assert job["type"] in BATCH
    assert {"pipeline": "smoke", "team": "support"}.items() <= job["labels"].items()
    environment = job["environment"]
    assert environment["serviceAccountEmail"] == "tasks@team.iam.gserviceaccount.com"
    assert environment["serviceKmsKeyName"] == KEY
    [pool] = environment["workerPools"]
    assert pool["autoscalingSettings"]["maxNumWorkers"] == 7
    assert pool["subnetwork"] == "regions/europe-west4/subnetworks/private"
    assert pool["ipConfiguration"] in PRIVATE
    images = {harness["containerImage"] for harness in pool["sdkHarnessContainerImages"]}
    assert images == {f"{IMAGE}-dataflow"}
    [staged] = [name for name in cloud.buckets["team-bucket"] if name.endswith("pipeline.pb")]
    assert staged.startswith("pipelines/dataflow/staging/")
    pipeline = beam_runner_api_pb2.Pipeline.FromString(cloud.buckets["team-bucket"][staged])
    steps = {transform.unique_name for transform in pipeline.components.transforms.values()}
    assert any("WriteSplit" in step for step in steps), steps
