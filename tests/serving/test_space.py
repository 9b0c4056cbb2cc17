"""The application of a tuned model where only serving is installed: llama.cpp in Keras's place."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from gradio_client import Client

from tests.environments import install
from tests.serving.conftest import ROOT
from tests.serving.pairs import PAIRS
from tests.serving.test_serve import write_tiny_preset

SPACE = ROOT / "apps" / "space"


@pytest.fixture
def gguf_answering(monkeypatch):
    monkeypatch.syspath_prepend(str(SPACE))
    import gguf_answering

    yield gguf_answering
    for name in ("answering", "gguf_answering"):
        sys.modules.pop(name, None)


def paths(run):
    return run / "tfx" / "model" / "Format-Serving", run / "tfx" / "exports" / "gguf" / "model.gguf"


def test_the_gguf_file_answers_as_the_model_that_was_trained(gguf_answering, trained_run):
    model_dir, gguf = paths(trained_run)
    answerer = gguf_answering.GgufAnswerer(str(model_dir), gguf)
    answerer.start()
    for prompt, output in PAIRS[:2]:
        parts = list(answerer.stream(prompt))
        assert parts[-1] == output
        assert len(parts) > 2, "it streams"
        assert all(output.startswith(part) for part in parts)
    with pytest.raises(gguf_answering.NoModelError, match=r"too long for the model by \d+ tokens"):
        list(answerer.stream("zq " * 400))
    assert answerer.is_ready


@pytest.mark.parametrize("missing", ["model", "gguf"])
def test_what_is_missing_is_told(gguf_answering, trained_run, tmp_path, missing):
    model_dir, gguf = paths(trained_run)
    if missing == "model":
        model_dir = tmp_path
    else:
        gguf = Path("/nowhere/model.gguf")
    answerer = gguf_answering.GgufAnswerer(str(model_dir), gguf)
    answerer.start()
    with pytest.raises(gguf_answering.NoModelError, match=r"generation\.json|no GGUF file"):
        list(answerer.stream("anything"))


@pytest.mark.slow
def test_the_page_answers_where_keras_is_not_installed(tmp_path, run_folder):
    programs = install(tmp_path, ROOT / "requirements" / "serve.txt")
    packages = next((programs.parent / "lib").glob("python*/site-packages"))
    assert not [*packages.glob("keras*"), *packages.glob("tensorflow*")]
    preset = write_tiny_preset(tmp_path, run_folder, "http://127.0.0.1:9")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen(
        [str(programs / "understudy"), "space", "--preset", str(preset)],
        cwd=tmp_path,
        env={**os.environ, "GRADIO_SERVER_PORT": str(port)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as page:
        try:
            prompt, output = PAIRS[0]
            job = _client(page, f"http://127.0.0.1:{port}").submit(prompt, [], api_name="/ask")
            assert output in str(job.result(60))
        finally:
            page.kill()


def _client(page, url):
    while page.poll() is None:
        with contextlib.suppress(Exception):  # it does not listen yet
            return Client(url, verbose=False)
        time.sleep(0.2)
    raise AssertionError(page.stdout.read().decode())
