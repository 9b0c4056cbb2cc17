"""The unmodified clients, each in an environment of its own, with their base URL changed."""

import json
import os
import subprocess
import sys

import pytest

from standin.application import serve
from tests.serving.conftest import INSTRUCTION, ROOT
from tests.serving.pairs import PAIRS
from tests.serving.test_serve import MODEL, Served, write_tiny_preset

CLIENTS = sorted((ROOT / "requirements" / "clients").glob("*.txt"))
WAYS = {"whole", "structured", "stream", "async", "async stream"}
WAYS_OF_GOOGLE = {"vertex", "vertex stream"}
LACKING = "vertex without a project"  # the one setting that google-genai needs
PLACES = ("GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION", "GOOGLE_API_KEY", "GEMINI_API_KEY")
PROMPT, OUTPUT = PAIRS[0]

pytestmark = pytest.mark.slow


@pytest.fixture
def ask(tmp_path):
    """Asks with a client from its lock."""

    def ask(lock, url):
        environment = tmp_path / lock.stem
        uv = [sys.executable, "-m", "uv"]
        if not environment.exists():
            subprocess.run([*uv, "venv", "-q", "--python", sys.executable, environment], check=True)
            python = ["--python", environment / "bin" / "python"]
            subprocess.run([*uv, "pip", "sync", "-q", *python, lock], check=True)
        done = subprocess.run(
            [
                *(environment / "bin" / "python", ROOT / "tests" / "serving" / "client_program.py"),
                *(lock.stem, url, MODEL, INSTRUCTION, PROMPT),
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={name: value for name, value in os.environ.items() if name not in PLACES},
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return ask


@pytest.mark.parametrize("lock", CLIENTS, ids=lambda lock: lock.stem)
def test_a_client_is_answered_every_way_before_and_in_an_outage(run_folder, tmp_path, ask, lock):
    with serve() as service:
        served = Served(write_tiny_preset(tmp_path, run_folder, service.url))
        try:
            before = ask(lock, served.url)
        except BaseException:
            served.process.kill()
            raise
    try:
        after = ask(lock, served.url)
    finally:
        served.end()
    is_google = lock.stem.startswith("google")
    for answers in (before, after):
        if is_google:
            said, version = answers.pop(LACKING)
            assert version == "refused"
            assert "project=PROJECT, location=LOCATION" in said
    assert before.keys() == after.keys() == WAYS | (WAYS_OF_GOOGLE if is_google else set())
    assert {version for _, version in before.values()} == {"stand-in-1"}
    for way, (text, version) in after.items():
        assert version.startswith("tiny_triage/round-1@"), way
        if way == "structured":
            assert isinstance(json.loads(text)["category"], str)
        else:
            assert text == OUTPUT, way
