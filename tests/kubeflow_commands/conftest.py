"""A cloud on loopback, and the commands as a person gives them."""

import pytest
from google.auth.credentials import AnonymousCredentials

import kubeflow_runner
from pipeline.vertex import commands
from pipeline.vertex import run as vertex_run
from pipeline.vertex.cloud import Cloud
from tests.kubeflow_commands.jobs import REGISTRY_PATH, vertex_settings
from tests.pipeline.vertex.fake_cloud import FakeCloud


@pytest.fixture
def cloud(monkeypatch):
    cloud = FakeCloud()
    cloud.buckets["team-bucket"] = {}
    cloud.images |= {f"{REGISTRY_PATH}:1", f"{REGISTRY_PATH}:1-cuda"}
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud.url)
    monkeypatch.setattr(commands, "default_cloud", lambda: Cloud(AnonymousCredentials(), cloud.url))
    monkeypatch.setattr(vertex_run, "_POLL_SECONDS", 0.0)
    yield cloud
    cloud.close()


@pytest.fixture
def run(cloud, capsys):
    """Runs a command; returns its status, and what it told and complained about."""

    def run(command, *arguments, preset="vertex", **values):
        flags = vertex_settings(cloud, **values)
        status = kubeflow_runner.main([command, "--preset", preset, *flags, *arguments])
        return status, *capsys.readouterr()

    return run
