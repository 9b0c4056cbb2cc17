"""What a container runs: secrets, then TFX, and errors a person can read."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import google.auth
import pytest
import requests
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession

from components.hf_pusher import errors as hub_errors
from core.errors import ModelOutageError, UserError
from core.secret_manager import SecretOutageError
from pipeline.vertex import entrypoint
from service_llm import errors as service_errors

REPOSITORY = Path(__file__).parents[3]
NAME = "projects/team/secrets/hf-token/versions/1"


@pytest.fixture
def tfx(monkeypatch):
    """Takes the place of TFX's entrypoint; remembers what it was called with and found."""
    calls = []

    def run_module(module, argv):
        calls.append((module, list(argv), os.environ.get("HF_TOKEN")))

    monkeypatch.setattr(entrypoint, "_run_module", run_module)
    monkeypatch.setattr(entrypoint, "read_secret", lambda name: f"value of {name}")
    monkeypatch.delenv(entrypoint.SECRETS_VARIABLE, raising=False)
    monkeypatch.setenv("HF_TOKEN", "")  # so that monkeypatch takes back what the entrypoint sets
    monkeypatch.delenv("HF_TOKEN")
    return calls


def test_secrets_are_in_the_environment_before_the_task_starts(tfx, monkeypatch):
    monkeypatch.setenv(entrypoint.SECRETS_VARIABLE, f'{{"HF_TOKEN": "{NAME}"}}')
    entrypoint.main(["--executor_class_path", "x"])
    [(module, argv, token)] = tfx
    assert module == "tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor"
    assert argv == ["--executor_class_path", "x"]
    assert token == f"value of {NAME}"


def test_a_variable_that_is_set_is_not_overwritten(tfx, monkeypatch):
    monkeypatch.setenv(entrypoint.SECRETS_VARIABLE, f'{{"HF_TOKEN": "{NAME}"}}')
    monkeypatch.setenv("HF_TOKEN", "of the container")
    entrypoint.main([])
    assert tfx[0][2] == "of the container"


def test_a_task_without_secrets_asks_for_none(tfx, monkeypatch):
    monkeypatch.setattr(entrypoint, "read_secret", pytest.fail)
    entrypoint.main([])
    assert tfx[0][2] is None


def test_what_the_launcher_of_a_custom_job_has_written_is_kept_from_tfx(tfx):
    invocation = {
        "inputs": {"parameterValues": {"round": 1}},
        "outputs": {
            "parameters": {"gcp_resources": {"outputFile": "gs://b/x"}},
            "outputFile": "gs://b/y",
        },
    }
    entrypoint.main(["--json_serialized_invocation_args", json.dumps(invocation), "--runner=x"])
    [(_, argv, _)] = tfx
    assert argv[::2] == ["--json_serialized_invocation_args", "--runner=x"]
    invocation["outputs"]["parameters"] = {}
    assert json.loads(argv[1]) == invocation


@pytest.mark.slow
def test_a_task_stops_where_the_accelerator_that_is_paid_for_is_not_seen(tfx, monkeypatch, capsys):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    monkeypatch.setenv("UNDERSTUDY_ACCELERATOR", "NVIDIA_L4")
    with pytest.raises(SystemExit) as end:
        entrypoint.main([])
    assert end.value.code == 2
    assert "sees no accelerator on this machine with NVIDIA_L4" in capsys.readouterr().err
    assert not tfx


def test_an_image_without_the_backend_is_told(tfx, monkeypatch, capsys):
    monkeypatch.setenv("UNDERSTUDY_ACCELERATOR", "NVIDIA_L4")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(SystemExit) as end:
        entrypoint.main([])
    assert end.value.code == 2
    assert "the image of this task does not contain JAX" in capsys.readouterr().err
    assert not tfx


def test_a_mistake_of_the_user_is_the_last_line_of_the_log(tfx, monkeypatch, capsys):
    def fail(module, argv):
        raise UserError("The dataset has no row. Add one.")

    monkeypatch.setattr(entrypoint, "_run_module", fail)
    with pytest.raises(SystemExit) as end:
        entrypoint.main([])
    assert end.value.code == 2
    assert capsys.readouterr().err.endswith("error: The dataset has no row. Add one.\n")


@pytest.fixture
def posted(monkeypatch):
    """The addresses that are posted to."""
    posted = []

    def post(self, url, json, timeout):
        posted.append(url)
        answer = requests.Response()
        answer.status_code = 200
        return answer

    monkeypatch.setattr(google.auth, "default", lambda **_: (AnonymousCredentials(), "team"))
    monkeypatch.setattr(AuthorizedSession, "post", post)
    return posted


def test_a_mistake_of_the_user_ends_the_job_and_not_only_this_attempt(tfx, monkeypatch, posted):
    def fail(module, argv):
        assert argv == ["--executor_class_path", "x"], "TFX is not given the flags of this module"
        raise UserError("The dataset has no row. Add one.")

    monkeypatch.setattr(entrypoint, "_run_module", fail)
    job = "projects/1/locations/europe-west4/pipelineJobs/x-r1-a1"
    with pytest.raises(SystemExit):
        entrypoint.main(["--executor_class_path", "x", "--pipeline_job", job])
    assert posted == [f"https://europe-west4-aiplatform.googleapis.com/v1/{job}:cancel"]


@pytest.mark.parametrize(
    "outage",
    [
        service_errors.UnreachableError("503 The service is overloaded."),
        service_errors.QuotaError("429 Too many requests."),
        hub_errors.UnreachableError("The Hub is out of order. Try later."),
        hub_errors.QuotaError("The Hub limits the rate of requests. Wait some minutes."),
        SecretOutageError("The secret could not be read (status 503)."),
        ModelOutageError("The preset 'hf://x' could not be downloaded."),
    ],
    ids=lambda outage: type(outage).__module__.partition(".")[0] + type(outage).__name__,
)
def test_an_outage_is_retried_and_leaves_the_job(tfx, monkeypatch, capsys, posted, outage):
    def fail(module, argv):
        raise outage

    monkeypatch.setattr(entrypoint, "_run_module", fail)
    with pytest.raises(SystemExit) as end:
        entrypoint.main(["--pipeline_job", "projects/1/locations/europe-west4/pipelineJobs/x"])
    assert end.value.code == 1
    assert not posted
    assert capsys.readouterr().err.endswith(f"error: {outage}\n")


@pytest.mark.parametrize(
    "mistake",
    [
        service_errors.CreditError("402 Insufficient balance."),
        service_errors.AuthenticationError("401 Wrong key."),
        hub_errors.PlanError("The account's storage or plan is used up."),
    ],
    ids=lambda mistake: type(mistake).__name__,
)
def test_what_no_waiting_mends_is_not_retried(tfx, monkeypatch, posted, mistake):
    def fail(module, argv):
        raise mistake

    monkeypatch.setattr(entrypoint, "_run_module", fail)
    with pytest.raises(SystemExit) as end:
        entrypoint.main(["--pipeline_job", "projects/1/locations/europe-west4/pipelineJobs/x"])
    assert end.value.code == 2
    assert len(posted) == 1


def test_a_job_that_cannot_be_cancelled_still_tells_the_mistake(tfx, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    monkeypatch.setattr(entrypoint, "_check_accelerator", fail_as_a_user)
    with pytest.raises(SystemExit) as end:
        entrypoint.main(["--pipeline_job", "projects/1/locations/europe-west4/pipelineJobs/x"])
    assert end.value.code == 2
    assert capsys.readouterr().err.endswith("error: The key is missing. Set it.\n")


def fail_as_a_user():
    raise UserError("The key is missing. Set it.")


def test_a_task_that_hangs_is_ended_with_its_reason_and_not_tried_again(
    tfx, monkeypatch, capsys, posted
):
    ended = threading.Event()
    statuses = []

    def exit_process(status):
        assert posted, "Vertex AI would start the task again"
        statuses.append(status)
        ended.set()

    monkeypatch.setattr(entrypoint.os, "_exit", exit_process)
    monkeypatch.setattr(entrypoint, "_run_module", lambda module, argv: ended.wait())
    job = "projects/1/locations/europe-west4/pipelineJobs/x-r1-a1"
    entrypoint.main(["--time_limit_seconds", "0.01", "--pipeline_job", job])
    assert statuses == [124]
    assert posted == [f"https://europe-west4-aiplatform.googleapis.com/v1/{job}:cancel"]
    assert "Raise vertex.task_hours" in capsys.readouterr().err


def test_a_task_that_ends_in_time_is_left_alone(tfx, monkeypatch):
    monkeypatch.setattr(entrypoint.os, "_exit", pytest.fail)
    entrypoint.main(["--time_limit_seconds", "3600"])
    assert not any(
        isinstance(thread, threading.Timer) and not thread.finished.is_set()
        for thread in threading.enumerate()
    )


@pytest.mark.slow
def test_the_command_of_the_container_starts_from_any_folder(tmp_path):
    process = subprocess.run(
        [sys.executable, "-m", "pipeline.vertex.entrypoint", "--help"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        text=True,
        capture_output=True,
        check=False,
    )
    assert "--executor_class_path" in process.stdout + process.stderr
