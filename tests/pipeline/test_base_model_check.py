"""A wrong or gated base model is found by `check`, and by a run before anything is asked."""

import pytest

from core.errors import ModelError, ModelOutageError
from pipeline.cli.main import main


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize(
    ("preset", "says"),
    [
        ("gemma3_wrong_999b", "neither a folder nor a name that is built into KerasHub"),
        ("/no/such/folder-of-gemma3", "there is no such folder"),
        ("gguf:/no/model.gguf", "There is no GGUF file"),
    ],
    ids=["name", "folder", "gguf"],
)
def test_a_base_model_that_is_not_there_is_found_first(command, preset, says, tmp_path, capsys):
    output = tmp_path / "output"
    settings = (f"training.preset={preset}", f"output_dir={output}")
    options = [word for setting in settings for word in ("--set", setting)]
    assert main([command, "--preset", "smoke", *options]) == 2
    assert says in " ".join(capsys.readouterr().err.split())
    assert not output.exists(), "nothing was begun"


def refusing(monkeypatch, error):
    def check_preset(preset):
        raise error

    monkeypatch.setattr("models.loading.available.check_preset", check_preset)


def test_a_hub_that_does_not_answer_is_a_warning_of_check_and_an_end_of_a_run(
    tmp_path, capsys, monkeypatch
):
    refusing(monkeypatch, ModelOutageError("The base model hf://a/b cannot be looked for."))
    options = ["--preset", "smoke", "--set", f"output_dir={tmp_path / 'output'}"]
    assert main(["check", *options]) == 0
    assert "Warning: The base model hf://a/b cannot be looked for" in capsys.readouterr().out
    assert main(["run", *options]) != 0
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize("preset", ["smoke", "vertex"])
def test_what_a_shipped_preset_still_needs_is_said_and_no_failure(preset, capsys, monkeypatch):
    refusing(monkeypatch, ModelError("The base model google/gemma is gated."))
    assert main(["check", "--preset", preset]) == 0
    said = " ".join(capsys.readouterr().out.split())
    where = "Warning, if the run is to be on this machine: " if preset == "vertex" else "a run: "
    assert f"{where}The base model google/gemma is gated." in said


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            {"training.preset": "random:qwen-tiny"},
            "not transformers, since its family cannot be exported to transformers). "
            "Set training.exports=[].",
        ),
        (
            {"training.preset": "random:llama3-tiny", "training.exports": "[saved_model, gguf]"},
            "not saved_model, since a SavedModel cannot hold its tokenizer). "
            "Set training.exports=[gguf].",
        ),
        (
            {"training.backend": "jax", "training.exports": "[saved_model]"},
            "not saved_model, since the JAX backend (training.backend) cannot write it)",
        ),
    ],
    ids=["family", "tokenizer", "backend"],
)
def test_a_format_that_the_model_cannot_be_written_in_is_found_first(
    command, settings, says, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("pipeline.cli.local.choose_backend", lambda backend: None)
    output = tmp_path / "output"
    values = {**settings, "output_dir": output}
    options = [f"--set={key}={value}" for key, value in values.items()]
    assert main([command, "--preset", "smoke", *options]) == 2
    assert says in " ".join(capsys.readouterr().err.split())
    assert not output.exists(), "nothing was begun"
