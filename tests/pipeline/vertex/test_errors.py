"""What Google Cloud says, and the command that mends it."""

import re

import pytest
from google.api_core.exceptions import Forbidden
from google.auth.exceptions import DefaultCredentialsError

from pipeline.vertex.errors import VertexError, advice, explained
from tests.pipeline.vertex import gcloud
from tests.pipeline.vertex.conftest import vertex_config

TASKS = "tasks@team.iam.gserviceaccount.com"


@pytest.fixture
def vertex():
    return vertex_config("vertex", f"vertex.service_account={TASKS}").vertex_settings


@pytest.mark.parametrize(
    ("message", "command"),
    [
        pytest.param(
            "Your default credentials were not found. To set up Application Default Credentials",
            "gcloud auth application-default login",
            id="signed out",
        ),
        pytest.param(
            "('invalid_grant: Bad Request', {'error': 'invalid_grant'})",
            "gcloud auth application-default login",
            id="expired",
        ),
        pytest.param(
            "403 This API method requires billing to be enabled. Please enable billing on project",
            "gcloud billing projects link team",
            id="billing",
        ),
        pytest.param(
            "403 Secret Manager API has not been used in project 12 before or it is disabled. "
            "Enable it: https://console.cloud.google.com/apis/api/secretmanager.googleapis.com",
            "gcloud services enable secretmanager.googleapis.com --project=team",
            id="another API",
        ),
        pytest.param(
            "The secret 'projects/team/secrets/hf-token/versions/1' cannot be read (HTTPError).",
            "gcloud secrets add-iam-policy-binding hf-token --project=team "
            f"--member=serviceAccount:{TASKS}",
            id="closed secret",
        ),
        pytest.param(
            f"403 {TASKS} does not have storage.objects.create access to the Google Cloud Storage "
            "object. Permission 'storage.objects.create' denied on resource",
            f"gs://team-bucket --member=serviceAccount:{TASKS} --role=roles/storage.objectUser",
            id="closed bucket",
        ),
        pytest.param(
            f"403 {TASKS} does not have storage.buckets.get access to the Google Cloud Storage "
            "bucket.",
            f"--member=serviceAccount:{TASKS} --role=roles/storage.legacyBucketReader",
            id="a bucket that may not be looked at",
        ),
        pytest.param(
            "Permission 'artifactregistry.repositories.downloadArtifacts' denied on resource",
            "gcloud artifacts repositories add-iam-policy-binding understudy "
            "--location=europe-west4 --project=team "
            f"--member=serviceAccount:{TASKS} --role=roles/artifactregistry.reader",
            id="closed registry",
        ),
        pytest.param(
            f"404 Service account {TASKS} does not exist.",
            "gcloud iam service-accounts create tasks --project=team",
            id="no account",
        ),
        pytest.param(
            "STOCKOUT: The zone does not have enough resources available",
            "vertex.spot_machine_type=null",
            id="no spot machine",
        ),
        pytest.param("404 The specified bucket does not exist.",
                     "gcloud storage buckets create gs://team-bucket --project=team "
                     "--location=europe-west4", id="no bucket"),
        pytest.param("The replica workerpool0-0 ran out-of-memory: out of memory",
                     "vertex.memory_limit_gib", id="memory"),
        pytest.param("HTTPSConnectionPool: Max retries exceeded with url",
                     "run the same command again", id="network"),
        pytest.param("400 something new", "run the same command again", id="unknown"),
    ],
)  # fmt: skip
def test_a_message_of_google_cloud_leads_to_the_command_that_mends_it(message, command, vertex):
    told = advice(message, vertex)
    assert command in told
    for named in re.findall(r"gcloud ([^\n]+)", told):
        gcloud.check(named)


def test_tasks_that_start_jobs_may_be_what_cannot_act_as_the_account():
    vertex = vertex_config(
        "vertex",
        f"vertex.service_account={TASKS}",
        "vertex.spot_machine_type=g2-standard-8",
    ).vertex_settings
    told = advice("403 Permission 'iam.serviceAccounts.actAs' denied on resource", vertex)
    for member in ('"user:$(gcloud config get account)"', f"serviceAccount:{TASKS}"):
        assert f"--role=roles/iam.serviceAccountUser --member={member}" in told


@pytest.mark.parametrize(
    "error",
    [
        DefaultCredentialsError("Your default credentials were not found."),
        Forbidden("Permission 'aiplatform.pipelineJobs.get' denied"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_of_the_client_libraries_become_one_message_with_an_advice(error, vertex):
    with pytest.raises(VertexError, match="gcloud") as told, explained(vertex):
        raise error
    assert str(error) in str(told.value)


def test_a_mistake_in_this_program_is_not_blamed_on_google_cloud(vertex):
    with pytest.raises(ZeroDivisionError), explained(vertex):
        _ = 1 / 0
