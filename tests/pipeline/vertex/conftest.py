"""Configurations for Vertex AI of a project that does not exist."""

import pytest

from pipeline.config import load_config

BUCKET = "gs://team-bucket/pipelines"
IMAGE = "europe-west4-docker.pkg.dev/team/understudy/pipeline:1"

VERTEX_VALUES = (
    "vertex.project=team",
    "vertex.region=europe-west4",
    f"vertex.pipeline_root={BUCKET}",
    f"vertex.image={IMAGE}",
)
_SERVICE = {
    "vertex": ("service_llm.vertex_project=team",),
    "gemini-vertex": ("service_llm.vertex_project=team",),
}


def vertex_config(preset="vertex", *overrides):
    values = (*VERTEX_VALUES, *_SERVICE.get(preset, ()), *overrides)
    return load_config(preset, values, environ={})


@pytest.fixture
def config():
    return vertex_config()
