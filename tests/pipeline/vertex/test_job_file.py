"""The compiled job: valid for Vertex AI, and what the configuration says."""

import json
import re
from pathlib import Path

import pytest
import yaml
from google.cloud import aiplatform_v1
from kfp.pipeline_spec import pipeline_spec_pb2

from core.errors import UserError
from pipeline.config import load_config
from pipeline.preset_files import preset_names
from pipeline.vertex import machines
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


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        pytest.param("vertex.pipeline_root=/tmp/x", "vertex.pipeline_root", id="no bucket"),
        pytest.param("vertex.secrets={HF_TOKEN: hf_abc}", "vertex.secrets", id="a secret's value"),
        pytest.param("vertex.network=default", "vertex.network", id="no full name"),
        pytest.param("vertex.labels={Team: x}", "vertex.labels", id="an upper-case label"),
        pytest.param("vertex.reserved_ip_ranges=[a]", "set network", id="ranges of no network"),
        pytest.param("vertex.accelerator_type=L4", "vertex.accelerator_type", id="no such name"),
        pytest.param(
            "vertex.accelerator_type=NVIDIA_L40", "no accelerator 'NVIDIA_L40'", id="an L40"
        ),
        pytest.param(
            "vertex.accelerator_type=NVIDIA_GB200", "no accelerator 'NVIDIA_GB200'", id="Arm"
        ),
        pytest.param("vertex.accelerator_count=3", "to one of 1, 2, 4, 8", id="three of a kind"),
        pytest.param(
            "vertex.accelerator_count=4,vertex.spot_machine_type=g2-standard-8",
            "has 1 of NVIDIA_L4, not 4",
            id="a g2-standard-8 with four",
        ),
        pytest.param("vertex.cpu_limit=500", "vertex.cpu_limit", id="500 CPUs"),
        pytest.param("vertex.cpu_limit=48", "at most 32 CPUs and 128 GiB", id="48 CPUs with an L4"),
        pytest.param("vertex.region=mars-east9", "no region 'mars-east9'", id="no such region"),
        pytest.param("vertex.dataflow_subnetwork=default", "subnetworks", id="no subnetwork"),
        pytest.param(
            "vertex.dataflow_subnetwork=regions/us-east1/subnetworks/a",
            "not in europe-west4",
            id="a subnetwork elsewhere",
        ),
        pytest.param("vertex.labels={1team: x}", "vertex.labels", id="a label of a digit"),
        pytest.param("vertex.labels={goog-x: x}", "Google's goog", id="a label of Google's"),
        pytest.param("vertex.labels={pipeline: x}", "is set by the runner", id="a label of ours"),
        pytest.param("vertex.labels={round: x}", "is set by the runner", id="the round's label"),
        pytest.param("vertex.labels={started-by: x}", "is set by the runner", id="another of ours"),
        pytest.param("vertex.task_hours=0.001", "vertex.task_hours", id="no time to start"),
        *(
            pytest.param(f"vertex.{field}={image}", f"vertex.{field}", id=f"{field} {image}")
            for field in ("image", "trainer_image")
            for image in (
                "pipeline:abc-cuda",
                "foo bar",
                "https://gcr.io/team/pipeline:1",
                "gs://team/pipeline",
                "gcr.io/Team/pipeline",
                "gcr.io/team/pipeline:",
            )
        ),
        *(
            pytest.param(
                f"vertex.accelerator_type=null,vertex.spot_machine_type={machine}",
                f"no machine '{machine}'",
                id=machine,
            )
            for machine in (
                *("e2-standard-5", "foo-bar-9", "n1-standard-7", "n1-standard-0", "e2-8"),
                # Machines of Compute Engine that Vertex AI does not train on.
                *("e2-standard-2", "e2-highcpu-2", "e2-highcpu-8", "n1-standard-2", "n1-highcpu-8"),
                *("n2-standard-2", "n2-standard-96", "n2-highcpu-8", "t2d-standard-1"),
                *("n4-standard-2", "c2d-standard-8", "c3-highcpu-22", "c4d-standard-384"),
            )
        ),
        pytest.param(
            "vertex.accelerator_type=NVIDIA_TESLA_T4,vertex.spot_machine_type=n1-standard-1",
            "no machine 'n1-standard-1': n1-standard has 4, 8",
            id="a small n1 with a T4",
        ),
        pytest.param("vertex.pipeline_root=gs://Team/x", "vertex.pipeline_root", id="capitals"),
        *(
            pytest.param(f"vertex.pipeline_root=gs://{bucket}/x", expected, id=bucket[:20])
            for bucket, expected in (
                ("a" * 64, "1 to 63 characters"),
                (f"a.{'b' * 64}.c", "1 to 63 characters"),
                ("a..b", "1 to 63 characters"),
                ("goog-team", "Google keeps names"),
                ("my-google-bucket", "Google keeps names"),
                ("192.168.5.4", "it is an IP address"),
            )
        ),
        *(
            pytest.param(f"vertex.project={project}", "vertex.project", id=f"project {project}")
            for project in ("My Team!", "team-", "-team", "123456789", "a/b", "a" * 31)
        ),
        pytest.param(
            "vertex.spot_machine_type=g2-standard-48", "has 4 of NVIDIA_L4, not 1", id="four L4s"
        ),
        pytest.param(
            "vertex.spot_machine_type=g2-standard-7", "no machine 'g2-standard-7'", id="no machine"
        ),
        pytest.param(
            "vertex.spot_machine_type=e2-standard-8", "cannot carry 1 of NVIDIA_L4", id="an e2"
        ),
        pytest.param(
            "vertex.encryption_key=projects/p/locations/us/keyRings/r/cryptoKeys/k",
            "not in europe-west4",
            id="a key elsewhere",
        ),
        pytest.param(
            "vertex.encryption_key=projects/p/locations/us/keyRings/europe-west4/cryptoKeys/k",
            "not in europe-west4",
            id="a key ring named as the region",
        ),
        pytest.param(
            "vertex.network_attachment=projects/europe-west4/regions/us-east1/networkAttachments/a",
            "not in europe-west4",
            id="an attachment elsewhere",
        ),
        pytest.param(
            "vertex.spot_machine_type=a2-highgpu-1g",
            "carries NVIDIA_TESLA_A100 and not NVIDIA_L4",
            id="a machine without an L4",
        ),
    ],
)
def test_a_setting_that_google_cloud_would_refuse_is_refused_at_once(override, expected):
    with pytest.raises(UserError, match=expected):
        vertex_config("vertex", *override.split(","))


@pytest.mark.parametrize(
    "image",
    [
        "gcr.io/team/pipeline",
        "europe-west4-docker.pkg.dev/team/under.study_1/pipeline__x:1.0-cuda",
        f"127.0.0.1:5000/pipeline:1@sha256:{'0' * 64}",
    ],
)
def test_an_image_with_its_registry_is_taken(image):
    assert vertex_config("vertex", f"vertex.image={image}").vertex_settings.image == image


@pytest.mark.parametrize(
    "override",
    [
        f"vertex.pipeline_root=gs://{'a' * 63}.{'b' * 63}.example.com/x/",
        "vertex.pipeline_root=gs://1_bucket-of.goo",
        "vertex.project=my-team-123456",
        "vertex.project=example.com:my-team",
    ],
)
def test_a_possible_bucket_or_project_is_taken(override):
    key, _, value = override.removeprefix("vertex.").partition("=")
    assert getattr(vertex_config("vertex", override).vertex_settings, key) == value


@pytest.mark.parametrize("machine", ["e2-standard-4", "n1-highmem-2", "n2-highcpu-16"])
def test_a_machine_of_the_table_without_an_accelerator_is_taken(machine):
    overrides = ("vertex.accelerator_type=null", f"vertex.spot_machine_type={machine}")
    assert vertex_config("vertex", *overrides).vertex_settings.spot_machine_type == machine


def test_the_accelerators_of_the_table_are_vertex_ais():
    assert set(machines.accelerators()) <= set(aiplatform_v1.AcceleratorType.__members__)


def test_the_regions_of_the_table_are_those_of_googles_client():
    client = Path(aiplatform_v1.__file__).parents[1] / "aiplatform" / "constants" / "base.py"
    supported = client.read_text(encoding="utf-8").partition("SUPPORTED_REGIONS")[2]
    assert set(re.findall(r'"([a-z]+-[a-z]+\d+)"', supported.partition("}")[0])) >= machines.REGIONS


def test_two_ways_into_a_network_are_refused():
    attachment = "projects/1/regions/europe-west4/networkAttachments/tasks"
    with pytest.raises(UserError, match="exclude each other"):
        vertex_config(
            "vertex",
            "vertex.network=projects/1/global/networks/private",
            f"vertex.network_attachment={attachment}",
        )
