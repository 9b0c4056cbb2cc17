"""The compiled job's machines: accelerators, spot machines, Dataflow."""

import itertools
import json
import sys
from types import SimpleNamespace

import pytest
from google.cloud import aiplatform_v1
from kfp.pipeline_spec import pipeline_spec_pb2

from tests.pipeline.vertex.compiled_job import (
    ACCELERATED,
    BEAM,
    compile_preset,
    containers_of,
    parsed,
)
from tests.pipeline.vertex.conftest import BUCKET, IMAGE


def test_training_and_generation_run_on_the_accelerator_and_the_export_beside_it():
    job = compile_preset(
        "vertex.accelerator_type=NVIDIA_A100_80GB",
        "vertex.accelerator_count=2",
        "vertex.cpu_limit=24",
        "vertex.trainer_image=gcr.io/team/cuda:1",
    )
    containers = containers_of(job)
    wanted = {
        "cpuLimit": 24.0,
        "memoryLimit": 32.0,
        "accelerator": {"type": "NVIDIA_A100_80GB", "count": "2"},
    }
    for name, container in containers.items():
        expected = wanted if name in ACCELERATED else None
        if name == "Exporter":
            expected = {"cpuLimit": 24.0, "memoryLimit": 32.0}
        image = "gcr.io/team/cuda:1" if name in ACCELERATED else IMAGE
        assert container.get("resources") == expected, name
        assert container["image"] == image, name


def test_a_task_that_is_paid_an_accelerator_for_is_told_to_look_for_it():
    wanted = {"name": "UNDERSTUDY_ACCELERATOR", "value": "NVIDIA_L4"}
    for name, container in containers_of(compile_preset()).items():
        assert (wanted in container.get("env", [])) == (name in ACCELERATED), name


def test_without_an_accelerator_no_task_asks_for_one():
    containers = containers_of(compile_preset("vertex.accelerator_type=null"))
    assert not any("accelerator" in c.get("resources", {}) for c in containers.values())
    assert not any("env" in container for container in containers.values())


def test_on_spot_machines_a_task_is_started_as_google_starts_custom_jobs():
    secret = "projects/team/secrets/hf-token/versions/1"
    overrides = (
        "vertex.trainer_image=gcr.io/team/cuda:1",
        "vertex.labels={team: support}",
        "vertex.network=projects/1/global/networks/private",
        "vertex.reserved_ip_ranges=[tasks]",
        f"vertex.secrets={{HF_TOKEN: {secret}}}",
    )
    job = compile_preset("vertex.spot_machine_type=g2-standard-8", *overrides)
    parsed(job["pipelineSpec"]["deploymentSpec"], pipeline_spec_pb2.PipelineDeploymentConfig())
    ordinary = containers_of(compile_preset(*overrides))
    for name, container in containers_of(job).items():
        component = job["pipelineSpec"]["components"][name]
        if name not in ACCELERATED:
            assert container == ordinary[name]
            continue
        # As create_custom_training_job_from_component of google-cloud-pipeline-components does.
        assert container["command"][:3] == ["python3", "-u", "-c"]
        assert container["command"][-1].endswith("container.v1.custom_job.launcher")
        assert container["image"].startswith("gcr.io/ml-pipeline/google-cloud-pipeline-components:")
        assert component["outputDefinitions"]["parameters"] == {
            "gcp_resources": {"parameterType": "STRING"}
        }
        flags = dict(zip(container["args"][::2], container["args"][1::2], strict=True))
        assert flags["--type"] == "CustomJob"
        assert (flags["--project"], flags["--location"]) == ("team", "europe-west4")
        custom_job = aiplatform_v1.CustomJob.from_json(flags["--payload"])
        spec = custom_job.job_spec
        args = list(spec.worker_pool_specs[0].container_spec.args)
        limit = int(args[args.index("--time_limit_seconds") + 1])
        # The task has half an hour, with its image, to end itself and the job: it is not retried.
        assert spec.scheduling.timeout.total_seconds() == limit + 1800
        assert spec.scheduling.strategy == aiplatform_v1.Scheduling.Strategy.SPOT
        assert spec.service_account == "{{$.pipeline_service_account}}"
        assert spec.network == "projects/1/global/networks/private"
        assert list(spec.reserved_ip_ranges) == ["tasks"]
        assert dict(custom_job.labels) == {"pipeline": "support-triage", "team": "support"}
        [pool] = spec.worker_pool_specs
        assert pool.replica_count == 1
        machine = pool.machine_spec
        assert (machine.machine_type, machine.accelerator_count) == ("g2-standard-8", 1)
        assert machine.accelerator_type == aiplatform_v1.AcceleratorType.NVIDIA_L4
        task, usual = pool.container_spec, ordinary[name]
        assert (task.image_uri, list(task.command)) == (usual["image"], usual["command"])
        usual_args = ["{{$.json_escape[1]}}" if a == "{{$}}" else a for a in usual["args"]]
        assert list(task.args) == usual_args
        assert [{"name": v.name, "value": v.value} for v in task.env] == usual["env"]


def test_one_setting_moves_the_beam_components_to_dataflow():
    here = containers_of(compile_preset())
    there = containers_of(
        compile_preset(f"vertex.dataflow_image={IMAGE}-dataflow", "vertex.labels={team: support}")
    )
    for name in BEAM:
        assert not any("Dataflow" in argument for argument in here[name]["args"])
        assert {
            "--runner=DataflowRunner",
            "--project=team",
            "--region=europe-west4",
            f"--temp_location={BUCKET}/dataflow/temp",
            f"--sdk_container_image={IMAGE}-dataflow",
            "--labels=team=support",
        } <= set(there[name]["args"])


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_the_tasks_that_compute_with_a_model_get_the_backend(backend):
    containers = containers_of(compile_preset(f"training.backend={backend}"))
    found = {
        name
        for name, container in containers.items()
        if {"name": "KERAS_BACKEND", "value": "jax"} in container.get("env", [])
    }
    wanted = {"Exporter", *(ACCELERATED & set(containers))}
    assert found == (wanted if backend == "jax" else set())


def test_a_failed_task_is_started_again():
    for retries in (0, 3):
        job = compile_preset(f"vertex.task_retries={retries}")
        for name, task in job["pipelineSpec"]["root"]["dag"]["tasks"].items():
            assert task.get("retryPolicy", {}).get("maxRetryCount", 0) == retries, name


def at_once(job):
    """The most tasks with an accelerator that can run together."""
    tasks = job["pipelineSpec"]["root"]["dag"]["tasks"]

    def waits_for(name):
        earlier = set(tasks[name].get("dependentTasks", []))
        return earlier.union(*map(waits_for, earlier))

    names = sorted(ACCELERATED)
    return max(
        size
        for size in range(1, len(names) + 1)
        for together in itertools.combinations(names, size)
        if not any(waits_for(name) & set(together) for name in together)
    )


def test_one_accelerator_is_asked_for_at_a_time_unless_set_otherwise():
    assert at_once(compile_preset()) == 1


@pytest.mark.parametrize("allowed", [1, 2])
def test_no_more_accelerators_are_asked_for_at_once_than_allowed(allowed):
    assert at_once(compile_preset(f"vertex.parallel_accelerators={allowed}")) == allowed


def test_without_accelerators_tasks_run_side_by_side():
    assert at_once(compile_preset("vertex.accelerator_type=null")) == 3


def test_every_task_knows_its_job_and_its_time_limit():
    for container in containers_of(compile_preset("vertex.task_hours=1.5")).values():
        assert container["args"][-4:] == [
            "--pipeline_job",
            "{{$.pipeline_job_resource_name}}",
            "--time_limit_seconds",
            "5400",
        ]


def test_spot_machines_use_the_network_attachment_and_the_key_of_the_job():
    attachment = "projects/1/regions/europe-west4/networkAttachments/tasks"
    key = "projects/p/locations/europe-west4/keyRings/r/cryptoKeys/k"
    job = compile_preset(
        "vertex.spot_machine_type=g2-standard-8",
        f"vertex.network_attachment={attachment}",
        f"vertex.encryption_key={key}",
    )
    args = containers_of(job)["Trainer"]["args"]
    custom_job = aiplatform_v1.CustomJob.from_json(args[args.index("--payload") + 1])
    assert custom_job.job_spec.psc_interface_config.network_attachment == attachment
    assert custom_job.encryption_spec.kms_key_name == key


def test_the_command_of_a_retried_spot_task_starts_another_custom_job(tmp_path, monkeypatch):
    job = compile_preset("vertex.spot_machine_type=g2-standard-8", "vertex.task_retries=1")
    assert (
        job["pipelineSpec"]["root"]["dag"]["tasks"]["Trainer"]["retryPolicy"]["maxRetryCount"] == 1
    )
    container = containers_of(job)["Trainer"]
    file = tmp_path / "gcp_resources"
    place = "{{$.outputs.parameters['gcp_resources'].output_file}}"
    arguments = [str(file) if a == place else a for a in container["args"]]
    assert str(file) in arguments
    name = "projects/1/locations/europe-west4/customJobs/7"
    uri = f"https://europe-west4-aiplatform.googleapis.com/v1/{name}"
    file.write_text(json.dumps({"resources": [{"resourceType": "CustomJob", "resourceUri": uri}]}))
    launched = []
    monkeypatch.setattr("runpy.run_module", lambda module, **_: launched.append((module, sys.argv)))
    monkeypatch.setattr("sys.argv", [])
    failed = SimpleNamespace(state=SimpleNamespace(name="JOB_STATE_FAILED"))
    client = SimpleNamespace(get_custom_job=lambda name: failed)
    *_, text, launcher = container["command"]
    starter = {"__name__": "starter"}
    exec(compile(text, "starter", "exec"), starter)
    starter["main"]([launcher, *arguments], client)
    assert launched == [(launcher, [launcher, *arguments])]
    assert not file.exists(), "the launcher would report the failure of the first job"
