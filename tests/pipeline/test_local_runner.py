"""The command line: what a user does wrong ends in one message and status 2."""

import json
import os
import re
import shlex
import socket
import subprocess
import sys

import pytest
import yaml

import local_runner
from pipeline.preset_files import PRESET_DIR, preset_names


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Runs a command in the repository, with an output folder of the test."""
    monkeypatch.delenv("UNDERSTUDY_STANDIN_URL", raising=False)

    def run(*arguments, output=tmp_path / "output"):
        status = local_runner.main([*arguments, "--set", f"output_dir={output}"])
        return status, capsys.readouterr()

    return run


@pytest.mark.parametrize("runner", ["local_runner.py", "kubeflow_runner.py"])
def test_a_python_without_the_packages_is_answered_with_make_setup(runner):
    command = [sys.executable, "-S", runner, "run"]
    done = subprocess.run(command, env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert re.fullmatch(r"error: No module named '\w+'\. Run `make setup`.*\n", done.stderr)


def test_the_configuration_can_be_shown(run):
    status, printed = run("config", "--preset", "smoke", "--set", "rounds.max_rounds=7")
    config = json.loads(printed.out)
    assert status == 0
    assert (config["name"], config["rounds"]["max_rounds"]) == ("smoke", 7)


def test_a_section_that_is_wrong_as_a_whole_is_not_repeated(run):
    status, printed = run("config", "--preset", "gemini-vertex")
    assert status == 2
    assert "{" not in printed.err
    assert "Value error" not in printed.err


@pytest.mark.parametrize("name", ["config", "check"])
def test_a_command_whose_reader_is_gone_ends_quietly(name):
    command = [sys.executable, "local_runner.py", name, "--preset", "smoke"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize("ending", ["sys.exit(1)", "sys.exit(4)"])
def test_what_a_command_has_found_outlives_its_reader(ending):
    """A drill that lost a request, or a verdict of *worse*, piped into something that ends."""
    code = (
        "import sys, local_runner, pipeline.cli.local as local\n"
        "from core.terminal import write_result\n"
        f"def found(**_): write_result('x'); print('y'); {ending}\n"
        "local.config = found\n"
        "sys.exit(local_runner.main(['config']))"
    )
    command = [sys.executable, "-c", code]
    environ = {**os.environ, "PYTHONUNBUFFERED": ""}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == int(ending[-2])


def test_a_command_without_a_standard_output_ends_well():
    command = f"{shlex.quote(sys.executable)} local_runner.py config --preset smoke >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_pipe_that_is_not_the_terminals_breaks_loudly(monkeypatch):
    def broken(**_):
        raise BrokenPipeError("a service hung up")

    monkeypatch.setattr("pipeline.cli.local.config", broken)
    with pytest.raises(BrokenPipeError, match="a service hung up"):
        local_runner.main(["config"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "ofline"], r"no preset 'ofline'.*offline"),
        (["--set", "rounds.max_round=2"], r"rounds\.max_round: unknown key.*max_rounds"),
        (["--set", "training.learning_rate=fast"], r"training\.learning_rate: received 'fast'"),
        (["--set", "coverage_dir=/no/such/folder"], r"/no/such/folder"),
        (
            ["--preset", "gemini-vertex"],
            r"service_llm: nothing says how to sign in; set vertex_project \(Vertex AI\), or",
        ),
    ],
    ids=["preset", "key", "value", "folder", "credentials"],
)
def test_mistakes_in_the_configuration(run, arguments, message):
    status, printed = run("run", *arguments)
    assert status == 2
    assert re.search(message, printed.err, re.DOTALL)
    assert "Traceback" not in printed.err


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "empty|no row|holds no"),
        ([{"id": "a", "prompt": "p", "output": "o", "split": "seed"}], "holdout"),
        ([{"id": "a", "prompt": "p"}, {"prompt": 3}], r"rows\.jsonl:1.*\n.*rows\.jsonl:2"),
    ],
    ids=["empty", "one split", "bad lines"],
)
def test_mistakes_in_the_coverage_dataset(run, tmp_path, rows, message):
    folder = tmp_path / "coverage"
    folder.mkdir()
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    status, printed = run("run", "--set", f"coverage_dir={folder}")
    assert status == 2
    assert re.search(message, printed.err, re.DOTALL)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"labels\.csv.*evaluator\.labels_uri"),
        ("prompt,output\n", "lacks the column response, human_covered"),
        ("prompt,output,response,human_covered\np,o,r,perhaps\n", r"line 2: received 'perhaps'"),
        (b"\xff", r"labels\.csv.*UTF-8"),
    ],
    ids=["no file", "no columns", "no label", "no UTF-8"],
)
def test_mistakes_in_the_labels_are_told_before_anything_is_spent(run, tmp_path, text, message):
    file = tmp_path / "labels.csv"
    if text is not None:
        file.write_bytes(text.encode() if isinstance(text, str) else text)
    status, printed = run("run", "--set", f"evaluator.labels_uri={file}")
    assert status == 2
    assert re.search(message, printed.err, re.DOTALL)


def test_an_output_folder_that_cannot_be_written(run, tmp_path):
    (tmp_path / "file").write_text("")
    status, printed = run("run", output=tmp_path / "file" / "output")
    assert status == 2
    assert "cannot be written" in printed.err


def test_a_key_that_is_missing_is_told_before_anything_is_loaded(run, monkeypatch):
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    status, printed = run("run", "--preset", "gemini")
    assert status == 2
    assert "GEMINI_API_KEY" in printed.err


def test_a_service_that_cannot_be_reached(run):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        status, printed = run(
            "run", "--preset", "smoke",
            "--set", f"service_llm.base_url={url}",
            "--set", "service_llm.max_attempts=2",
            "--set", "service_llm.retry_seconds=0",
        )  # fmt: skip
    assert status == 2
    assert "base_url" in printed.err


def test_a_missing_token_of_the_hub_is_told_before_anything_is_spent(run, monkeypatch, tmp_path):
    monkeypatch.delenv("MY_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    status, printed = run(
        "run", "--preset", "smoke", "--set", "push.destination=hub",
        "--set", "push.token_env=MY_TOKEN",
    )  # fmt: skip
    assert status == 2
    assert "Set the environment variable MY_TOKEN" in printed.err


@pytest.mark.parametrize(
    ("typed", "meant"), [(["rn"], "run"), (["vertex", "submt"], "submit")], ids=["run", "submit"]
)
def test_a_mistyped_command_gets_a_suggestion(typed, meant, capsys):
    with pytest.raises(SystemExit) as exited:
        local_runner.main(typed)
    assert exited.value.code == 2
    assert f"there is no {typed[-1]!r}. Did you mean {meant!r}?" in capsys.readouterr().err


def test_an_application_needs_a_model(run):
    status, printed = run("space", "--preset", "smoke")
    assert status == 2
    assert "make run PRESET=smoke" in printed.err


def test_help_and_configuration_load_no_heavy_library():
    program = (
        "import sys, local_runner; from pipeline.config import load_config; load_config();"
        "print(sorted({'tensorflow', 'tfx', 'keras', 'apache_beam', 'google.genai', 'openai'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_every_preset_says_what_it_is_for():
    for name in preset_names():
        text = (PRESET_DIR / f"{name}.yaml").read_text(encoding="utf-8")
        assert text.startswith("# "), name
        assert yaml.safe_load(text)["extends"], name
