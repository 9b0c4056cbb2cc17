"""The compiled job: valid for Vertex AI, and what the configuration says."""

import json
import re

import pytest
import yaml
from google.cloud import aiplatform_v1
from kfp.pipeline_spec import pipeline_spec_pb2

from core.errors import UserError
from pipeline.config import load_config
from pipeline.preset_files import preset_names
from pipeline.vertex.compile import compile_job, describe, job_text
from tests.nodes import NODES
from tests.pipeline.vertex.compiled_job import (
    ACCELERATED,
    BEAM,
    compile_preset,
    containers_of,
    parsed,
)
from tests.pipeline.vertex.conftest import IMAGE, vertex_config


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_compiles_to_a_valid_job(preset):
    returned = compile_job(vertex_config(preset))
    job = json.loads(job_text(returned))
    assert job == returned
    runtime = aiplatform_v1.PipelineJob.RuntimeConfig.from_json(json.dumps(job["runtimeConfig"]))
    assert runtime.failure_policy.name == "PIPELINE_FAILURE_POLICY_FAIL_FAST"
    del job["runtimeConfig"]["failurePolicy"]  # Vertex AI's own, which KFP's message lacks
    parsed(job, pipeline_spec_pb2.PipelineJob())
    spec = parsed(job["pipelineSpec"], pipeline_spec_pb2.PipelineSpec())
    deployment = parsed(
        job["pipelineSpec"]["deploymentSpec"], pipeline_spec_pb2.PipelineDeploymentConfig()
    )
    assert set(spec.root.dag.tasks) >= set(NODES)
    assert {c.executor_label for c in spec.components.values()} == set(deployment.executors)
    for name, task in spec.root.dag.tasks.items():
        known = set(spec.components[name].input_definitions.parameters)
        assert set(task.inputs.parameters) <= known, name
    assert describe(job).startswith("Tasks: BaseResponseGen, CoverageExampleGen")


def test_artifact_types_are_what_vertex_ai_accepts():
    titles = set()
    for component in compile_preset()["pipelineSpec"]["components"].values():
        for side in ("inputDefinitions", "outputDefinitions"):
            for artifact in component.get(side, {}).get("artifacts", {}).values():
                schema = yaml.safe_load(artifact["artifactType"]["instanceSchema"])
                titles.add(schema["title"])
                # https://cloud.google.com/vertex-ai/docs/ml-metadata/custom-schemas
                assert re.fullmatch(r"[a-z][a-z0-9-_]{2,20}\.[A-Z][A-Za-z0-9-_]{2,49}",
                                    schema["title"]), schema  # fmt: skip
                if not schema["title"].startswith("tfx."):
                    assert "properties" not in schema, schema
    assert {"components.Responses", "components.CoverageReport", "components.Exports"} <= titles


def test_the_same_configuration_compiles_to_the_same_text():
    assert job_text(compile_job(vertex_config())) == job_text(compile_job(vertex_config()))


def test_a_preset_without_a_vertex_section_says_what_to_add():
    with pytest.raises(UserError, match=r"no 'vertex' section.*--preset vertex"):
        compile_job(load_config("offline", environ={}))


def test_what_one_changes_for_a_single_run_is_a_runtime_parameter_with_a_default():
    lengths = ("training.sequence_length=400", "generation.max_output_tokens=50")
    config = vertex_config("vertex", "evaluator.gate.threshold_percent=42", *lengths)
    job = compile_job(config)
    parameters = job["pipelineSpec"]["root"]["inputDefinitions"]["parameters"]
    defaults = {name: parameter["defaultValue"] for name, parameter in parameters.items()}
    assert defaults == {
        "round": 1,
        "history_uri": "",
        "report_uri": "",
        "warm_start_uri": "",
        "looks": 0,
        "coverage_dir": "/app/data/coverage/support_triage",
        "synth": config.synth.model_dump_json(),
        "training": config.training.model_dump_json(),
        "generation": config.generation.model_dump_json(),
        "few_shot_generation": config.few_shot_generation.model_dump_json(),
        "evaluator": config.evaluator.model_dump_json(),
    }
    assert json.loads(defaults["evaluator"])["gate"]["threshold_percent"] == 42
    tasks = job["pipelineSpec"]["root"]["dag"]["tasks"]
    for task, parameter, source in (
        ("CoverageExampleGen", "input_base", "coverage_dir"),
        ("SynthDataGen", "settings", "synth"),
        ("SynthDataGen", "round", "round"),
        ("SynthDataGen", "history_uri", "history_uri"),
        ("Trainer", "warm_start_uri", "warm_start_uri"),
        ("Trainer", "hparams", "training"),
        ("ResponseGen", "settings", "generation"),
        ("BaseResponseGen", "settings", "generation"),
        ("FewShotResponseGen", "settings", "few_shot_generation"),
        ("LLMEvaluator", "settings", "evaluator"),
        ("LLMEvaluator", "report_uri", "report_uri"),
        ("LLMEvaluator", "looks", "looks"),
        ("Exporter", "hparams", "training"),
        ("HFPusher", "round", "round"),
    ):
        wanted = {"componentInputParameter": source}
        assert tasks[task]["inputs"]["parameters"][parameter] == wanted, (task, parameter)


def test_data_and_schema_are_read_from_the_image_unless_they_are_in_a_bucket():
    job = compile_preset("vertex.repository_dir=/srv/understudy", "coverage_dir=gs://data/x")
    spec = job["pipelineSpec"]
    schema = spec["root"]["dag"]["tasks"]["SchemaGen"]["inputs"]["parameters"]["schema_file"]
    assert schema["runtimeValue"]["constant"] == "/srv/understudy/pipeline/schema.pbtxt"
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    assert parameters["coverage_dir"]["defaultValue"] == "gs://data/x"


def test_what_is_compiled_is_described_by_what_really_runs():
    told = describe(
        compile_preset(
            "vertex.trainer_image=gcr.io/team/cuda:1",
            "vertex.spot_machine_type=g2-standard-8",
        )
    )
    assert f"Images: {IMAGE}, gcr.io/team/cuda:1\n" in told
    assert "Spot machines: g2-standard-8\n" in told
    assert "Spot machines" not in describe(compile_preset())


def test_lengths_follow_the_rows_of_the_image_and_are_left_to_the_components_for_a_bucket():
    def compiled(*overrides):
        job = compile_preset(*overrides)
        parameters = job["pipelineSpec"]["root"]["inputDefinitions"]["parameters"]
        sections = (json.loads(parameters[n]["defaultValue"]) for n in ("training", "generation"))
        return [s.get("sequence_length", s.get("max_output_tokens")) for s in sections]

    assert compiled() == [512, 32]
    assert compiled("coverage_dir=gs://data/x") == [None, None]


def test_secrets_are_in_the_job_by_their_names_and_only_where_they_are_read():
    name = "projects/team/secrets/hf-token/versions/1"
    containers = containers_of(compile_preset(f"vertex.secrets={{HF_TOKEN: {name}}}"))
    wanted = {"name": "UNDERSTUDY_SECRETS", "value": json.dumps({"HF_TOKEN": name})}
    for reader in ("HFPusher", *ACCELERATED):
        assert wanted in containers[reader]["env"], reader
    assert not BEAM & {task for task, container in containers.items() if "env" in container}


def test_baselines_that_are_not_wanted_have_no_task():
    secret = "projects/team/secrets/hf-token/versions/1"
    job = compile_preset("evaluator.baselines=[service]", f"vertex.secrets={{HF_TOKEN: {secret}}}")
    tasks = set(job["pipelineSpec"]["root"]["dag"]["tasks"])
    assert set(NODES) - tasks == {"BaseResponseGen", "FewShotResponseGen"}
