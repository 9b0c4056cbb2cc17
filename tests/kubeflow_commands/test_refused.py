"""What Google Cloud or the containers refuse, and what mends it."""

import pytest
from google.auth.credentials import AnonymousCredentials

from core.errors import UserError
from pipeline.vertex.cloud import Cloud
from pipeline.vertex.preflight import check_cloud, check_config
from tests.kubeflow_commands.jobs import REGISTRY_PATH, fail, finish, state
from tests.pipeline.vertex.conftest import IMAGE, vertex_config


@pytest.mark.parametrize(
    ("path", "answer", "expected"),
    [
        pytest.param(
            "pipelineJobs",
            (403, "Permission 'aiplatform.pipelineJobs.create' denied on resource '//x'"),
            "--role=roles/aiplatform.user",
            id="no role",
        ),
        pytest.param(
            "pipelineJobs",
            (403, "Vertex AI API has not been used in project 1 before or it is disabled. Enable "
                  "it by visiting https://console.cloud.google.com/apis/api/"
                  "aiplatform.googleapis.com/overview"),
            "gcloud services enable aiplatform.googleapis.com --project=team",
            id="API disabled",
        ),
        pytest.param(
            "pipelineJobs",
            (403, "You do not have permission to act as service account: tasks@x"),
            "--role=roles/iam.serviceAccountUser",
            id="act as",
        ),
        pytest.param(
            "pipelineJobs",
            (429, "Quota exceeded for quota metric 'Pipeline jobs'"),
            "gcloud beta quotas",
            id="quota",
        ),
        pytest.param(
            "storage/v1/b/team-bucket/o$",
            (403, "x does not have storage.objects.list access to the Google Cloud Storage bucket"),
            "--role=roles/storage.objectUser",
            id="closed bucket",
        ),
        pytest.param(
            "manifests", (403, "denied"), "--role=roles/artifactregistry.reader", id="closed image"
        ),
    ],
)  # fmt: skip
def test_what_google_cloud_refuses_is_told_with_the_command_that_mends_it(
    run, cloud, path, answer, expected
):
    cloud.refusals[path] = answer
    status, _, errors = run("submit")
    assert status == 2
    assert expected in errors, errors
    assert "Traceback" not in errors


def test_a_bucket_that_does_not_exist_is_told_with_the_command_that_makes_it(run, cloud):
    status, _, errors = run("run", vertex__pipeline_root="gs://nobody-has-it/x")
    assert status == 2
    assert "gcloud storage buckets create gs://nobody-has-it --project=team" in errors
    assert not cloud.jobs


def test_an_image_that_does_not_exist_is_told_before_anything_is_submitted(run, cloud):
    image = f"{cloud.host}/{REGISTRY_PATH}:other"
    status, _, errors = run("run", vertex__image=image)
    assert status == 2
    assert f"deploy/build.sh {image}" in errors
    assert not cloud.jobs


def test_an_image_of_another_registry_is_named_as_not_looked_for(cloud, caplog):
    image = "ghcr.io/team/pipeline:1"
    vertex = vertex_config(
        "vertex", "vertex.pipeline_root=gs://team-bucket/x", f"vertex.image={image}"
    ).vertex_settings
    there = Cloud(AnonymousCredentials(), cloud.url)
    check_cloud(vertex, there.bucket, None)  # no session: nothing may be sent there
    assert f"The image {image} was not checked" in caplog.text


@pytest.mark.parametrize(
    ("preset", "values", "expected"),
    [
        pytest.param(
            "offline", {}, ["UNDERSTUDY_STANDIN_URL", "packaged:", "push.destination"], id="offline"
        ),
        pytest.param("gemini", {}, ["vertex.secrets.GEMINI_API_KEY"], id="a key of the shell"),
        pytest.param(
            "vertex", {"vertex.secrets": "{}"}, ["vertex.secrets.HF_TOKEN"], id="no token"
        ),
        pytest.param(
            "vertex",
            {"vertex.trainer_image": None},
            ["vertex.accelerator_type is 'NVIDIA_L4'", "TARGETS='pipeline cuda' deploy/build.sh"],
            id="an accelerator without CUDA",
        ),
        *(
            pytest.param(
                "vertex",
                {"training.preset": preset},
                [f"training.preset is {preset!r}, which is not in the image"],
                id=preset,
            )
            for preset in (
                "/home/me/model",
                "models/mine",
                "gguf:/tmp/x.gguf",
                "gs://bucket/model",
                "gemma.gguf",
                "models",  # a folder of this repository
            )
        ),
        *(
            pytest.param(
                "vertex",
                {"training.preset": preset},
                ["vertex.secrets.KAGGLE_USERNAME and vertex.secrets.KAGGLE_KEY"],
                id=preset,
            )
            for preset in ("gemma3_1b", "kaggle://keras/llama3/keras/llama3_8b_en/4")
        ),
        pytest.param(
            "vertex",
            {"push.endpoint": "http://127.0.0.1:8000"},
            ["push.endpoint is 'http://127.0.0.1:8000'", "on this machine only"],
            id="a Hub of this machine",
        ),
        pytest.param(
            "vertex",
            {"training.backend": "jax", "training.exports": "[saved_model]"},
            ["not saved_model, since the JAX backend", "Set training.exports=[]."],
            id="a SavedModel of JAX",
        ),
        pytest.param(
            "vertex",
            {"training.preset": "hf://mistralai/Mistral-7B-v0.3"},
            ["not transformers, since version 0.3 reads [INST]", "Set training.exports=[]."],
            id="an export of Mistral 0.3",
        ),
        pytest.param(
            "vertex",
            {"training.backend": "jax", "vertex.images_hold_jax": "false"},
            ["do not contain JAX"],
            id="no JAX",
        ),
        pytest.param(
            "vertex",
            {"vertex.accelerator_count": "2"},
            ["paid for and idle", "vertex.accelerator_count=1", "generation.distribution=data"],
            id="an idle accelerator",
        ),
        pytest.param(
            "vertex",
            {"vertex.accelerator_type": "NVIDIA_B200", "vertex.accelerator_count": "8"},
            ["or choose an accelerator that machines have singly, such as NVIDIA_L4."],
            id="an accelerator that comes in eights",
        ),
        *(
            pytest.param(
                "vertex",
                {"coverage_dir": folder},
                ["gcloud storage rsync --recursive", "gs://team-bucket/pipelines/coverage/mine"],
                id=folder,
            )
            for folder in ("mine", "/home/me/mine", "data/coverage/../mine")
        ),
    ],
)
def test_what_cannot_work_in_the_containers_is_told_at_once(run, cloud, preset, values, expected):
    region = {} if preset == "vertex" else {"vertex.region": "europe-west4"}
    project = {} if preset == "vertex" else {"service_llm.vertex_project": None}
    status, _, errors = run("run", preset=preset, **values, **region, **project)
    assert status == 2
    for part in expected:
        assert part in errors, errors
    assert not cloud.requests


@pytest.mark.parametrize("command", [("submit",), ("schedule", "--cron=0 3 * * 1")])
@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ('training=\'{"exports": ["x"]}\'', "--parameter training cannot be used: exports.0"),
        ("training={backend: jax}", "Use --set training.backend=VALUE."),
        ('training=\'{"backend": "jax"}\'', "training.backend='tensorflow'. Use --set"),
        ("training={preset: mine.gguf}", "Use --set training.preset=VALUE."),
        ("evaluator={max_prompts: 50}", "Use --set evaluator.max_prompts=VALUE."),
        ("evaluator={max_example_tokens: 900}", "Use --set evaluator.max_example_tokens=VALUE."),
        ("evaluator={baselines: []}", "Use --set evaluator.baselines=VALUE."),
        ("synth={leak_judge: true}", "Use --set synth.leak_judge=VALUE."),
        ("generation={distribution: data}", "needs Keras' JAX backend"),
        ("training=jax", "received 'jax', and it is a section. Write --parameter 'training={KEY"),
        ("evaluator={labels_uri: labels.jsonl}", "evaluator.labels_uri is 'labels.jsonl'"),
        ("coverage_dir=mine", "coverage_dir is 'mine'"),
    ],
)
def test_a_parameter_that_cannot_work_in_the_containers_is_told_at_once(
    run, cloud, command, parameter, expected
):
    status, _, errors = run(*command, f"--parameter={parameter}")
    assert status == 2
    assert expected in errors
    assert not cloud.requests


@pytest.mark.parametrize("secrets", [("KAGGLE_USERNAME", "KAGGLE_KEY"), ("KAGGLE_API_TOKEN",), ()])
def test_a_built_in_model_is_taken_where_its_weights_can_be_downloaded(secrets):
    preset = "gemma3_1b" if secrets else "gpt2_base_en"
    secret = "projects/team/secrets/{}/versions/1"
    config = vertex_config(
        "vertex",
        f"training.preset={preset}",
        *(f"vertex.secrets.{name}={secret.format(name)}" for name in ("HF_TOKEN", *secrets)),
        f"vertex.trainer_image={IMAGE}-cuda",
    )
    check_config(config, config.vertex_settings)


def test_presidio_of_this_machine_is_not_taken_for_one_in_the_image():
    config = vertex_config("vertex")
    privacy = config.privacy.model_copy(update={"presidio_models": {"en": "en_core_web_lg"}})
    config = config.model_copy(update={"privacy": privacy})
    with pytest.raises(UserError, match="contains neither Presidio"):
        check_config(config, config.vertex_settings)


@pytest.mark.parametrize(
    ("message", "command"),
    [
        pytest.param(
            "The following quota metrics exceed quota limits: custom_model_training_nvidia_l4",
            "gcloud beta quotas preferences create",
            id="quota",
        ),
        pytest.param("Failed to pull image: manifest unknown", "deploy/build.sh", id="image"),
        pytest.param(
            "Permission 'artifactregistry.repositories.downloadArtifacts' denied on resource",
            "--role=roles/artifactregistry.reader",
            id="registry",
        ),
        pytest.param("Replica exited with code 137", "vertex.memory_limit_gib", id="memory"),
    ],
)
def test_a_failed_round_names_the_task_and_what_mends_it_and_is_tried_again(
    run, cloud, message, command
):
    cloud.on_create = lambda job: fail(job, message)
    status, _, errors = run("run")
    assert status == 2
    assert f"Trainer: {message}" in errors
    assert command in errors
    assert "console.cloud.google.com" in errors
    assert state(cloud)["attempt"] == 2
    cloud.on_create = lambda job: finish(cloud, job)
    status, told, _ = run("run")
    assert status == 0, told
    numbers = [j["runtimeConfig"]["parameterValues"]["round"] for j in cloud.jobs.values()]
    assert numbers == [1, 1, 2, 3]
