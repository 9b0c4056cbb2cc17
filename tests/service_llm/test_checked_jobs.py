"""`check --online` finds what batch jobs would fail at, before one is paid for."""

import pytest

from service_llm.probe import Probe, send_probes
from standin.batches import Batches
from standin.buckets import Buckets
from standin.errors import HttpError
from standin.prediction_jobs import PredictionJobs
from standin.server import serve
from tests.service_llm import test_batch
from tests.service_llm.conftest import VERTEX

FORBIDDEN = HttpError(403, "PERMISSION_DENIED", "Permission denied on resource.")


def forbidden(self, *args):
    raise FORBIDDEN


@pytest.fixture
def checked(cloud, monkeypatch):
    """What is found of a service."""

    def checked(server, **changes):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        (request,) = test_batch.requests(1)
        settings = test_batch.settings(server, **changes)
        return send_probes(settings, [Probe("answer", request)])

    return checked


ON_VERTEX = {**VERTEX, "batch_uri": "gs://team/batches"}
SERVICES = {"AI Studio": {}, "Vertex AI": ON_VERTEX}


@pytest.mark.parametrize("changes", SERVICES.values(), ids=SERVICES)
def test_jobs_are_found_to_work_and_nothing_is_left_behind(checked, monkeypatch, changes):
    kept, write = [], Buckets.write
    monkeypatch.setattr(
        Buckets, "write", lambda self, *args: kept.append(self) or write(self, *args)
    )
    with serve() as server:
        found = checked(server, **changes)
        assert server.stats()["answered"] == 1
    assert [(one.kind, one.problem) for one in found] == [("batch jobs", ""), ("answer", "")]
    assert found[0].usage.calls == 0, "that costs nothing"
    assert len(kept) == bool(changes)
    assert all(buckets.listed("team", "") == {"items": []} for buckets in kept)


@pytest.mark.parametrize("name", ["upload", "listed", "read", "delete"])
def test_a_bucket_that_is_closed_for_a_part_is_found(checked, monkeypatch, name):
    monkeypatch.setattr(Buckets, name, forbidden)
    with serve() as server:
        jobs, answer = checked(server, **ON_VERTEX)
    assert "gs://team/batches of batch jobs cannot be used" in jobs.problem
    assert "Storage Object User" in jobs.problem
    assert answer.problem == ""


@pytest.mark.parametrize(
    ("owner", "name", "changes"),
    [(Batches, "jobs", {}), (PredictionJobs, "listed", ON_VERTEX)],
    ids=SERVICES,
)
def test_jobs_that_may_not_be_listed_are_found(checked, monkeypatch, owner, name, changes):
    monkeypatch.setattr(owner, name, forbidden)
    with serve() as server:
        jobs, answer = checked(server, **changes)
    assert "403 Permission denied on resource." in jobs.problem
    assert answer.problem == ""


def test_credentials_that_have_expired_are_found(checked, cloud):
    cloud.down = True
    with serve() as server:
        jobs, _ = checked(server, **ON_VERTEX)
    assert "gcloud auth application-default login" in jobs.problem


def test_without_batch_jobs_nothing_of_them_is_looked_at(checked, monkeypatch):
    monkeypatch.setattr(Batches, "jobs", forbidden)
    with serve() as server:
        (answer,) = checked(server, batch=False)
    assert answer.problem == ""
