"""The pushed Space as a visitor meets it: served from the local hub, through HTTP and a browser."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from components.hf_pusher.contents import Source
from components.hf_pusher.push import push_round
from components.hf_pusher.settings import PushSettings
from components.task import Task

_START_SECONDS = 120
SYNTHESIS = {
    "round": 2,
    "requested": 1,
    "generated": 1,
    "kept": 1,
    "dropped": {},
    "train_rows": 1,
    "eval_rows": 1,
    "generator": {"provider": "gemini", "model": "stand-in-1"},
    "stand_in": True,
}


def until(condition, what):
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if result := condition():
                return result
        time.sleep(0.1)
    raise AssertionError(f"waited {_START_SECONDS} s for {what}")


def free_port():
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return any_port.getsockname()[1]


@pytest.fixture
def space(tmp_path, model_dir, evaluation_dir):
    """The URL of the pushed Space, run from its own folder with the pushed model."""
    report = json.loads((evaluation_dir / "coverage_report.json").read_text())
    report["judge"] |= {"votes": 2, "similarity_threshold": 4.0, "precision_threshold": 4.0}
    source = Source(
        task=Task(name="support_triage", instruction="Sort the message."),
        round=2,
        model_dir=model_dir,
        report=json.dumps(report).encode(),
        verdicts=(evaluation_dir / "verdicts.jsonl").read_bytes(),
        synthesis=json.dumps(SYNTHESIS).encode(),
        dataset_card=b"---\ntags: [synthetic]\n---\n\n# Rows\n",
        rows={"train": [{"id": "s-1", "prompt": "p", "output": "o"}]},
    )
    hub = tmp_path / "hub"
    push_round(
        PushSettings(destination="local", local_hub_dir=str(hub)), source, runs_on_this_machine=True
    )
    port = free_port()
    folder = hub / "spaces" / "local" / "support-triage" / "main"
    model = hub / "models" / "local" / "support-triage" / "main"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    with (tmp_path / "app.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "app.py", "--model", str(model), "--port", str(port)],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            until(lambda: urllib.request.urlopen(url).status == 200, "the page")
            yield url
        finally:
            process.terminate()
            process.wait(timeout=30)


def test_a_visitor_gets_a_streamed_response_while_the_model_loads(space):
    from gradio_client import Client

    job = Client(space, verbose=False).submit("my cam is broken 1", [], api_name="/ask")
    history, message, beside = job.result(timeout=_START_SECONDS)
    texts = [update[0][-1]["content"][0]["text"] for update in job.outputs()]
    assert texts[0] == "The model is still loading; the response follows."
    assert len(texts) > 2, "it streams"
    assert history[0]["role"] == "user"
    assert history[-1]["role"] == "assistant"
    assert message == ""
    assert "Desired output" in beside


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390], ids=str)
def test_a_visitor_asks_gets_an_answer_and_sees_the_figures(space, browser, width):
    browser.open(space, width)
    browser.wait_for("document.querySelector('#message textarea')")
    figures = browser.run("return document.querySelector('#figures').innerText")
    assert re.search(r"50\.0\s*%", figures), figures
    assert "gate of 70 % missed" in figures
    assert "stand-in" in browser.run("return document.querySelector('header').innerText")

    browser.wait_for("document.querySelector('.status.ready')")
    browser.find_element("css selector", "#message textarea").send_keys("my cam is broken 1")
    browser.run("document.querySelector('#message button').click()")
    answer = browser.wait_for("document.querySelector('#chat .bot')?.innerText?.trim()")
    assert answer
    assert "No response" not in answer
    beside = browser.wait_for("document.querySelector('#beside pre')?.innerText")
    assert '"category": "defect"' in beside

    tabs = "[...document.querySelectorAll('[role=tab]')]"
    browser.run(f"{tabs}.find(t => t.innerText.includes('Coverage prompts (3)')).click()")
    browser.wait_for("document.querySelectorAll('#table article').length === 3")
    missed = "[...document.querySelectorAll('#wanted label')].find(l => l.innerText === 'Missed')"
    browser.run(f"{missed}.click()")
    browser.wait_for("document.querySelectorAll('#table article').length === 1")

    assert browser.overflow() == 0, "fits the screen"
    assert browser.run("return document.documentElement.clientWidth") == width
