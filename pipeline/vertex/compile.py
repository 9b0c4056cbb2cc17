"""Compiles the DAG of one round to the PipelineJob that Vertex AI Pipelines takes."""

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import (
    KubeflowV2DagRunner,
    KubeflowV2DagRunnerConfig,
)
from tfx.orchestration.pipeline import Pipeline

from pipeline.config import Config
from pipeline.lengths import with_limits
from pipeline.pipeline import LOCAL_BEAM_ARGS, create_pipeline
from pipeline.schema import SCHEMA_FILE
from pipeline.vertex.settings import (
    ACCELERATOR_VARIABLE,
    FAILURE_POLICY,
    JOB_FLAG,
    SECRETS_VARIABLE,
    TIME_LIMIT_FLAG,
    VertexSettings,
)
from pipeline.vertex.spot import placement, run_on_spot_machines
from task.coverage.reader import read_coverage
from task.coverage.redaction import redacted_rows

COMMAND = ("python", "-m", "pipeline.vertex.entrypoint")

_ACCELERATED = ("Trainer", "ResponseGen", "BaseResponseGen", "FewShotResponseGen")
# The order they take turns in: minutes of generation find out whether there is an accelerator.
_TURNS = ("BaseResponseGen", "FewShotResponseGen", "Trainer", "ResponseGen")
_EXPORTER = "Exporter"  # on the Trainer's machine, without its accelerator
_READ_SECRETS = (*_ACCELERATED, "SynthDataGen", "LLMEvaluator", "HFPusher")
_RESOURCES = pipeline_spec_pb2.PipelineDeploymentConfig.PipelineContainerSpec.ResourceSpec
_THIS_JOB = "{{$.pipeline_job_resource_name}}"  # filled in by Vertex AI
_DEFAULT_IMAGE_KEY = "default_image_path"
_FIRST_ROUND = 1
_RETRY_BACKOFF = {"backoffDuration": "60s", "backoffFactor": 2.0, "backoffMaxDuration": "600s"}


def compile_job(config: Config) -> dict[str, Any]:
    """Compile the PipelineJob of one round.

    Its runtime parameters are `round`, `history_uri`, `report_uri`, `warm_start_uri`,
    `looks`, `coverage_dir`, and the settings of SynthDataGen, Trainer, ResponseGen and
    LLMEvaluator as JSON (`synth`, `training`, `generation`, `few_shot_generation`, `evaluator`).
    Their defaults are the first round with this configuration.

    Args:
        config: The configuration; its `vertex` section must be set.

    Returns:
        The job, to be written as JSON.

    Raises:
        UserError: The preset has no `vertex` section, or coverage rows do not fit its lengths.
    """
    vertex = config.vertex_settings
    if "://" not in config.coverage_dir:  # the image holds the same files
        rows = redacted_rows(read_coverage(config.coverage_dir), config.privacy)
        config = with_limits(config, rows)
    parameters = _RuntimeParameters()
    pipeline = create_pipeline(
        config,
        pipeline_root=vertex.root,
        journal_uri=f"{vertex.root}/journal",
        checkpoint_uri=f"{vertex.root}/checkpoints",
        coverage_dir=_in_image(vertex, config.coverage_dir),
        schema_file=_in_image(vertex, SCHEMA_FILE),
        round=parameters("round", _FIRST_ROUND),
        history_uri=parameters("history_uri", ""),
        report_uri=parameters("report_uri", ""),
        warm_start_uri=parameters("warm_start_uri", ""),
        looks=parameters("looks", 0),
        parameter=parameters,
        beam_pipeline_args=_beam_args(config, vertex),
    )
    _place_on_accelerators(pipeline, vertex)
    if vertex.accelerator_type:
        _take_turns(pipeline, vertex.parallel_accelerators)
    runner = KubeflowV2DagRunner(
        config=KubeflowV2DagRunnerConfig(
            default_image=_images(vertex),
            default_commands=list(COMMAND),
            use_pipeline_spec_2_1=True,
        )
    )
    job: dict[str, Any] = runner.run(pipeline, write_out=False)
    job["runtimeConfig"]["failurePolicy"] = FAILURE_POLICY
    _set_defaults(job, parameters.defaults)
    _set_caching(job, vertex.enable_caching)
    _set_retries(job, vertex.task_retries)
    _set_limits(job, vertex.task_hours)
    _set_environment(job, config, vertex)
    if vertex.spot_machine_type:
        run_on_spot_machines(job, _ACCELERATED, vertex, _labels(config, vertex))
    return job


def job_text(job: Mapping[str, object]) -> str:
    """Return a job as the JSON that is written, uploaded and submitted."""
    return json.dumps(job, indent=1, sort_keys=True) + "\n"


def describe(job: dict[str, Any]) -> str:
    """Describe a compiled job in a few lines: its tasks, images and parameters."""
    spec = job["pipelineSpec"]
    executors = spec["deploymentSpec"]["executors"].values()
    placements = [placement(executor["container"]) for executor in executors]
    machines = {place.spot_machine_type for place in placements if place.spot_machine_type}
    lines = {
        "Tasks": spec["root"]["dag"]["tasks"],
        "Images": {place.image for place in placements},
        "Spot machines": machines,
        "Runtime parameters": spec["root"]["inputDefinitions"]["parameters"],
    }
    return "\n".join(
        f"{name}: {', '.join(sorted(these))}" for name, these in lines.items() if these
    )


class _RuntimeParameters:
    """Makes runtime parameters and remembers their defaults, which TFX does not compile."""

    def __init__(self) -> None:
        self.defaults: dict[str, int | str] = {}

    def __call__(self, name: str, value: int | str) -> RuntimeParameter:
        self.defaults[name] = value
        return RuntimeParameter(name=name, ptype=type(value), default=value)


def _in_image(vertex: VertexSettings, path: str) -> str:
    """Where a path of this repository lies in the container image; URIs stay as they are."""
    return path if "://" in path else str(PurePosixPath(vertex.repository_dir) / path)


def _labels(config: Config, vertex: VertexSettings) -> dict[str, str]:
    """Labels of what a task of the job starts in its turn."""
    return dict(sorted({"pipeline": config.name, **vertex.labels}.items()))


def _images(vertex: VertexSettings) -> dict[str, str]:
    images = {_DEFAULT_IMAGE_KEY: vertex.image}
    if vertex.trainer_image:
        images.update(dict.fromkeys(_ACCELERATED, vertex.trainer_image))
    return images


def _beam_args(config: Config, vertex: VertexSettings) -> tuple[str, ...]:
    if not vertex.dataflow_image:
        return LOCAL_BEAM_ARGS
    args = [
        "--runner=DataflowRunner",
        f"--project={vertex.project}",
        f"--region={vertex.region}",
        f"--temp_location={vertex.root}/dataflow/temp",
        f"--staging_location={vertex.root}/dataflow/staging",
        # The workers import the executors and the preprocessing function from their image.
        f"--sdk_container_image={vertex.dataflow_image}",
        "--experiments=use_runner_v2",
        f"--max_num_workers={vertex.dataflow_max_workers}",
        *(f"--labels={name}={value}" for name, value in _labels(config, vertex).items()),
    ]
    if vertex.service_account:
        args.append(f"--service_account_email={vertex.service_account}")
    if vertex.encryption_key:
        args.append(f"--dataflow_kms_key={vertex.encryption_key}")
    if vertex.dataflow_subnetwork:
        args += [f"--subnetwork={vertex.dataflow_subnetwork}", "--no_use_public_ips"]
    return tuple(args)


def _place_on_accelerators(pipeline: Pipeline, vertex: VertexSettings) -> None:
    resources = _RESOURCES(cpu_limit=vertex.cpu_limit, memory_limit=vertex.memory_limit_gib)
    without_accelerator = _RESOURCES()
    without_accelerator.CopyFrom(resources)
    if vertex.accelerator_type:
        resources.accelerator.type = vertex.accelerator_type
        resources.accelerator.count = vertex.accelerator_count
    for node in pipeline.components:
        if node.id in _ACCELERATED:
            node.with_platform_config(resources)
        elif node.id == _EXPORTER:
            node.with_platform_config(without_accelerator)


def _take_turns(pipeline: Pipeline, parallel: int) -> None:
    """Let each task with an accelerator wait until another one has given its accelerator back."""
    nodes = {node.id: node for node in pipeline.components}
    queue = [nodes[node_id] for node_id in _TURNS if node_id in nodes]
    for node, earlier in zip(queue[parallel:], queue, strict=False):
        node.add_upstream_node(earlier)


def _set_defaults(job: dict[str, Any], defaults: dict[str, int | str]) -> None:
    definitions = job["pipelineSpec"]["root"]["inputDefinitions"]["parameters"]
    for name, value in defaults.items():
        definitions[name] |= {"defaultValue": value, "isOptional": True}


def _set_caching(job: dict[str, Any], is_enabled: bool) -> None:
    for task in job["pipelineSpec"]["root"]["dag"]["tasks"].values():
        task["cachingOptions"] = {"enableCache": is_enabled}


def _set_retries(job: dict[str, Any], retries: int) -> None:
    if retries:
        for task in job["pipelineSpec"]["root"]["dag"]["tasks"].values():
            task["retryPolicy"] = {"maxRetryCount": retries, **_RETRY_BACKOFF}


def _set_limits(job: dict[str, Any], hours: float) -> None:
    """Tell each task its limits: a PipelineSpec has no field for them."""
    for executor in job["pipelineSpec"]["deploymentSpec"]["executors"].values():
        executor["container"]["args"] += [
            *(JOB_FLAG, _THIS_JOB),
            *(TIME_LIMIT_FLAG, str(round(3600 * hours))),
        ]


def _set_environment(job: dict[str, Any], config: Config, vertex: VertexSettings) -> None:
    """TFX knows no environment of containers: what a task must find there is added afterwards."""
    executors = job["pipelineSpec"]["deploymentSpec"]["executors"]
    components = job["pipelineSpec"]["components"]
    for node_id in (*_READ_SECRETS, _EXPORTER):
        if node_id not in components:
            continue  # a baseline that is not wanted
        variables = {}
        if vertex.secrets and node_id in _READ_SECRETS:
            variables[SECRETS_VARIABLE] = json.dumps(vertex.secrets, sort_keys=True)
        if vertex.accelerator_type and node_id in _ACCELERATED:
            variables[ACCELERATOR_VARIABLE] = vertex.accelerator_type
        if config.training.backend != "tensorflow" and node_id in (*_ACCELERATED, _EXPORTER):
            variables["KERAS_BACKEND"] = config.training.backend
        if variables:
            label = components[node_id]["executorLabel"]
            executors[label]["container"]["env"] = [
                {"name": name, "value": value} for name, value in variables.items()
            ]
