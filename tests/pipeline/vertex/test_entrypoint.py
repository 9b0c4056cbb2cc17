"""What a container runs: secrets, then TFX, and errors a person can read."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.errors import UserError
from pipeline.vertex import entrypoint

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


def test_a_mistake_of_the_user_is_the_last_line_of_the_log(tfx, monkeypatch, capsys):
    def fail(module, argv):
        raise UserError("The dataset has no row. Add one.")

    monkeypatch.setattr(entrypoint, "_run_module", fail)
    with pytest.raises(SystemExit) as end:
        entrypoint.main([])
    assert end.value.code == 2
    assert capsys.readouterr().err.endswith("error: The dataset has no row. Add one.\n")


def test_a_secret_that_cannot_be_read_is_named_with_its_remedy(monkeypatch, tmp_path):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    with pytest.raises(UserError, match=r"hf-token.*secrets add-iam-policy-binding hf-token"):
        entrypoint.read_secret(NAME)


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
