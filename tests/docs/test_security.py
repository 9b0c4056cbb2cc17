"""What the security notes claim of the code."""

import ast
import json
import os
import shutil
import subprocess
import sys

import pytest

from core.errors import ModelError
from models.loading.load import load_model, resolve_preset
from tests.docs.guides import REPOSITORY

CODE = [
    file
    for part in ("apps", "components", "models", "pipeline", "standin", "notebooks", "benchmarks")
    for file in sorted((REPOSITORY / part).rglob("*.py"))
] + [REPOSITORY / "local_runner.py", REPOSITORY / "kubeflow_runner.py"]
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
# Imported before everything else by a Python that finds it on its path.
LOOPBACK_ONLY = """
import sys

def check(event, arguments):
    if event == "socket.connect":
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else "unix"
        if host not in ("127.0.0.1", "::1", "localhost", "unix"):
            raise PermissionError(f"a connection to {address!r}")
    if event == "socket.getaddrinfo" and arguments[0] not in (
        None, "127.0.0.1", "::1", "localhost", b"127.0.0.1", b"localhost"
    ):
        raise PermissionError(f"a look-up of {arguments[0]!r}")

sys.addaudithook(check)
"""


def calls(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            keywords = {k.arg: ast.unparse(k.value) for k in node.keywords}
            yield ast.unparse(node.func), keywords


def modules(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def unsafe(source):
    """Ways of reading a file that could run what it holds."""
    tree = ast.parse(source)
    found = [name for name in modules(tree) if name.partition(".")[0] in PICKLES]
    for function, keywords in calls(tree):
        last = function.rpartition(".")[2]
        if function in ("eval", "exec", "torch.load", "yaml.load", "yaml.unsafe_load"):
            found.append(function)
        if function in ("np.load", "numpy.load") and keywords.get("allow_pickle") != "False":
            found.append(function)
        if keywords.get("safe_mode") == "False" or keywords.get("trust_remote_code") == "True":
            found.append(function)
        if last == "enable_unsafe_deserialization":
            found.append(last)
    return found


@pytest.mark.parametrize("file", CODE, ids=lambda file: str(file.relative_to(REPOSITORY)))
def test_no_file_is_read_in_a_way_that_could_run_it(file):
    assert not unsafe(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "np.load('a')",
        "np.load('a', allow_pickle=True)",
        "yaml.load(text)",
        "keras.saving.load_model('a', safe_mode=False)",
        "AutoModel.from_pretrained('a', trust_remote_code=True)",
    ],
)
def test_the_search_finds_what_it_is_for(source):
    assert unsafe(source)


MARK_VARIABLE = "UNDERSTUDY_TEST_MARK"


def serialized_lambda():
    from keras.src.utils import python_utils

    code = python_utils.func_dump(
        lambda *_: __import__("pathlib").Path(__import__("os").environ[MARK_VARIABLE]).touch()
    )
    return {"class_name": "__lambda__", "config": {"value": list(code)}}


def shell_command():
    command = f"touch ${MARK_VARIABLE}"
    return {"module": "os", "class_name": "system", "config": command, "registered_name": None}


@pytest.mark.parametrize("code", [serialized_lambda, shell_command])
@pytest.mark.parametrize("place", ["whole", "field", "policy"])
def test_code_in_a_preset_does_not_run(place, code, tmp_path, monkeypatch):
    mark = tmp_path / "mark"
    monkeypatch.setenv(MARK_VARIABLE, str(mark))
    preset = shutil.copytree(
        resolve_preset("random:gemma3-tiny", str(tmp_path)), tmp_path / "tampered"
    )
    config = json.loads((preset / "config.json").read_text())
    if place == "whole":
        config = code()
    else:
        config["config"]["vision_encoder" if place == "field" else "dtype"] = code()
    if place == "policy":  # of a quantized preset, which is read with its own policy
        config["note"] = {"class_name": "DTypePolicyMap"}
    (preset / "config.json").write_text(json.dumps(config))
    if place == "field":
        load_model(str(preset), "float32")
    else:
        with pytest.raises(ModelError, match="cannot be loaded"):
            load_model(str(preset), "float32")
    assert not mark.exists()


@pytest.mark.slow
def test_the_default_way_of_running_connects_to_this_machine_only(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(LOOPBACK_ONLY)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{REPOSITORY}"}
    probe = "import urllib.request; urllib.request.urlopen('http://192.0.2.1', timeout=1)"
    refused = subprocess.run(
        [sys.executable, "-c", probe], env=environment, capture_output=True, text=True, check=False
    )
    # Python looks the address up before it connects, by name or as it is.
    told = ("a connection to ('192.0.2.1', 80)", "a look-up of '192.0.2.1'")
    assert any(text in refused.stderr for text in told), refused.stderr
    command = [sys.executable, "local_runner.py", "run", "--preset", "smoke"]
    for setting in (f"output_dir={tmp_path / 'output'}", "rounds.max_rounds=1"):
        command += ["--set", setting]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    log = tmp_path / "output" / "run.log"
    assert done.returncode == 0, done.stderr + (log.read_text()[-2000:] if log.exists() else "")
    assert "Stopped after round 1" in done.stdout
    assert "PermissionError" not in log.read_text(errors="replace")
