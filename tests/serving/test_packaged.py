"""The packaged Gemma behind `understudy serve`."""

import subprocess
import sys

import httpx
import pytest

from tests.serving.conftest import INSTRUCTION, ROOT
from tests.serving.test_serve import Served, write_tiny_preset

pytestmark = pytest.mark.slow


def test_the_packaged_gemma_answers_once_the_gateway_is_ready(tmp_path):
    run = tmp_path / "run"
    command = [sys.executable, "-m", "tests.serving.packaged_run", str(run)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    served = Served(write_tiny_preset(tmp_path, run, "http://127.0.0.1:9"))
    try:
        assert any("a short generation came back" in line for line in served.said)
        for stream in (False, True):
            answer = _ask(served.url, stream=stream)
            assert answer.headers["x-understudy-served-by"] == "model", answer.text
            assert answer.headers["x-understudy-model"].startswith("tiny_triage/round-1@")
            assert '"usage"' in answer.text
    finally:
        assert served.end() == 0


def _ask(url, *, stream):
    messages = [
        {"role": "system", "content": INSTRUCTION},
        {"role": "user", "content": "The picture of my camera is black."},
    ]
    body = {"model": "gemini-x", "messages": messages, "stream": stream, "max_tokens": 8}
    if stream:
        body["stream_options"] = {"include_usage": True}
    return httpx.post(f"{url}/v1/chat/completions", json=body, timeout=120)
