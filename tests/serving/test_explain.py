"""`serve --explain` with a preset's own task and the tokenizer of its trained model."""

import json
import re
import socket
import subprocess
import sys

import pytest

from core.records import CoverageRow
from serving.gateway.explain import explain
from serving.model.unserved import unserved_task
from tests.serving.conftest import INSTRUCTION, ROOT, preset_of
from tests.serving.test_serve import write_tiny_preset


def request(text):
    return {
        "systemInstruction": {"parts": [{"text": INSTRUCTION}]},
        "contents": [{"role": "user", "parts": [{"text": text}]}],
    }


@pytest.fixture
def explained(run_folder, tmp_path):
    def explained(text, folder=run_folder):
        file = tmp_path / "requests.jsonl"
        file.write_text(json.dumps(request(text)))
        return explain(file, [unserved_task(preset_of(folder))])[0]

    return explained


def test_a_prompt_within_the_models_context_is_of_the_task(explained):
    assert explained("my order does not work").task == "tiny_triage"


def test_a_longer_prompt_is_told_by_the_trained_tokenizer(explained):
    found = explained("my order " * 400)
    assert (found.task, found.reason) == ("", "too_long")
    assert "464 fit" in found.text  # of the context of 512, 48 are the answer's


def test_without_a_run_requests_are_explained_as_well(explained, tmp_path):
    assert explained("my order " * 400, tmp_path / "nothing").task == "tiny_triage"


def test_turns_that_the_model_has_learned_are_of_the_task(tmp_path):
    turns = [("user", "my order"), ("assistant", "Which one?"), ("user", "the last")]
    body = request("") | {
        "contents": [
            {"role": "user" if role == "user" else "model", "parts": [{"text": text}]}
            for role, text in turns
        ]
    }
    file = tmp_path / "requests.jsonl"
    file.write_text(json.dumps(body))
    preset = preset_of(tmp_path)
    assert explain(file, [unserved_task(preset)])[0].task == ""
    prompt = json.dumps([{"role": role, "content": text} for role, text in turns])
    learned = (*preset.coverage, CoverageRow("turns", prompt, "{}", "seed"))
    preset = preset.model_copy(update={"coverage": learned})
    assert explain(file, [unserved_task(preset)])[0].task == "tiny_triage"


def test_the_command_says_of_each_request_what_would_happen_and_sends_nothing(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as service:
        url = f"http://127.0.0.1:{service.getsockname()[1]}"
        preset = write_tiny_preset(tmp_path, tmp_path / "output", url)
        chat = {"role": "user", "content": "my order"}
        image = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}]
        requests = [
            request("my order does not work"),
            {"model": "m", "messages": [{"role": "system", "content": INSTRUCTION}, chat]},
            request("my order") | {"systemInstruction": {"parts": [{"text": "Write a poem."}]}},
            request("my order") | {"tools": [{"googleSearch": {}}]},
            {"messages": [{"role": "system", "content": INSTRUCTION}, chat | {"content": image}]},
            request("my order") | {"cachedContent": "cachedContents/c1"},
            {"path": "/v1beta/models/m:countTokens?key=AIzaSy-secret", "body": {}},
        ]
        file = tmp_path / "requests.jsonl"
        file.write_text("\n".join([*map(json.dumps, requests), "{half"]))
        command = [sys.executable, "local_runner.py", "serve", "--preset", str(preset)]
        done = subprocess.run(
            [*command, "--explain", str(file)],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        service.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody has come
            service.accept()
    assert (done.returncode, done.stderr) == (0, "")
    *lines, count = done.stdout.splitlines()
    told = [re.fullmatch(r"line (\d): (.+?): (.+)", line).groups() for line in lines]
    assert [(number, verdict) for number, verdict, _ in told] == [
        ("1", "task tiny_triage"),
        ("2", "task tiny_triage"),
        ("3", "service only (system)"),
        ("4", "service only (tools)"),
        ("5", "service only (images)"),
        ("6", "service only (cached_content)"),
        ("7", "service only (path)"),
        ("8", "service only (unreadable)"),
    ]
    assert "'Write a poem.'" in told[2][2]
    assert all(why for _, _, why in told)
    assert "secret" not in done.stdout
    assert count == "In an outage the tuned model would answer 2 of 8 requests."
