"""A gateway that runs is told what to do whatever became of the preset's other files."""

from urllib.parse import urlsplit

import httpx
import pytest

import local_runner
from tests.serving.gateway.harness import GEMINI_PATH, gemini_request


@pytest.fixture
def told(servers, tmp_path):
    """Gives a command with a damaged dataset, and with a service whose address nobody set."""
    folder = tmp_path / "coverage"
    folder.mkdir()
    (folder / "pairs.jsonl").write_text('{"id": "a", "prompt": "Hi", "out')

    def told(*command):
        settings = {
            "coverage_dir": folder,
            "output_dir": tmp_path / "output",
            "service_llm.base_url": "env:NOBODY_SET_THIS",
        }
        words = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        return local_runner.main([*command, "--port", str(urlsplit(servers.url).port), *words])

    return told


def mode(servers):
    found = httpx.get(f"{servers.url}/understudy/status").json()["mode"]
    return found["mode"], found["canary_percent"]


def test_its_mode_is_changed_and_given_back(servers, told, capsys):
    servers.start(servers.settings(mode="canary", canary_percent=25))
    assert told("cutover", "--back") == 0
    assert mode(servers) == ("failover", 0.0)
    assert told("serve", "mode", "model") == 0
    assert mode(servers)[0] == "model"
    assert "The gateway's mode is model" in capsys.readouterr().out
    assert servers.post(GEMINI_PATH, gemini_request()).headers["x-understudy-served-by"] == "model"


def test_another_round_is_asked_for_and_the_gateway_says_why_not(servers, told, capsys):
    servers.start(servers.settings())
    assert told("serve", "reload", "--round", "3") == 2
    assert "cannot load other models" in capsys.readouterr().err


def test_a_walk_is_refused_with_what_is_damaged(servers, told, capsys):
    servers.start(servers.settings(mode="canary", canary_percent=25))
    assert told("cutover", "--set", "serving.capture=true") == 2
    assert "NOBODY_SET_THIS" in capsys.readouterr().err
    assert mode(servers) == ("canary", 25.0)
