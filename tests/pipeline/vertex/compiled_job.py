"""A job as `compile` writes it, and what is looked up in it."""

from google.protobuf import json_format

from pipeline.vertex.compile import compile_job
from tests.pipeline.vertex.conftest import vertex_config

ACCELERATED = {"Trainer", "ResponseGen", "BaseResponseGen", "FewShotResponseGen"}
BEAM = {"CoverageExampleGen", "StatisticsGen", "Transform"}


def compile_preset(*overrides, preset="vertex"):
    return compile_job(vertex_config(preset, *overrides))


def containers_of(job):
    spec = job["pipelineSpec"]
    return {
        name: spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        for name, component in spec["components"].items()
    }


def parsed(values, message):
    return json_format.ParseDict(values, message)  # refuses unknown fields
