"""The pushed Space as a visitor meets it: served from the local hub, through HTTP and a browser."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import httpx
import pytest
from gradio_client import Client
from selenium.webdriver.common.keys import Keys

from components.hf_pusher.contents import Source
from components.hf_pusher.push import push_round
from components.hf_pusher.settings import PushSettings
from core.reports.coverage import CoverageReport
from core.reports.loop import RoundArtifacts
from task.task import Task
from tests.components.hf_pusher.hub_server import running_hub
from tests.records import loop_summary, synthesis_record

REPOSITORY = Path(__file__).resolve().parents[2]
_START_SECONDS = 120


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
def source(model_dir, evaluation_dir, tmp_path):
    """What a round left behind."""
    return Source(
        task=Task(name="support_triage", instruction="Sort the message."),
        round=2,
        model_dir=model_dir,
        exports_dir=tmp_path / "no-exports",
        report=CoverageReport.read(str(evaluation_dir / "coverage_report.json")),
        verdicts=(evaluation_dir / "verdicts.jsonl").read_bytes(),
        synthesis=synthesis_record(),
        dataset_card="---\ntags: [synthetic]\n---\n\n# Rows\n",
        rows={"train": [{"id": "s-1", "prompt": "p", "output": "o"}]},
    )


@pytest.fixture
def serve(tmp_path):
    """Runs a program that serves the application; gives its URL."""
    log_file = tmp_path / "app.log"
    log_file.touch()  # a test may be skipped before it runs anything
    with contextlib.ExitStack() as stack:

        def run(folder, *command, **variables):
            port = free_port()
            kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "HF_TOKEN")}
            log = stack.enter_context(log_file.open("w"))
            process = subprocess.Popen(
                [sys.executable, *command],
                cwd=folder,
                env={**kept, **variables, "GRADIO_SERVER_PORT": str(port)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            stack.callback(process.wait, timeout=30)
            stack.callback(process.terminate)
            url = f"http://127.0.0.1:{port}"
            until(lambda: urllib.request.urlopen(url).status == 200, "the page")
            return url

        yield run
    assert "Traceback" not in log_file.read_text()


@pytest.fixture
def space(tmp_path, serve, source):
    """The URL of the Space in the local hub, run from its own folder with the pushed model."""
    hub = tmp_path / "hub"
    settings = PushSettings(destination="local", local_hub_dir=str(hub))
    push_round(settings, source, runs_on_this_machine=True)
    model = hub / "models" / "local" / "support-triage" / "main"
    folder = hub / "spaces" / "local" / "support-triage" / "main"
    return serve(folder, "app.py", "--model", str(model))


@pytest.fixture
def space_of_the_hub(tmp_path, source, monkeypatch):
    """A folder with the Space as the Hub would check it out, and the variables of its machine."""
    with running_hub() as hub:
        monkeypatch.setenv("HF_TOKEN", hub.token)
        push_round(PushSettings(endpoint=hub.url), source, runs_on_this_machine=True)
        # A later push must not change what this Space serves.
        newer = hub.repositories["model", "me/support-triage"]
        newer.commit("newer", {"README.md": b"broken"})
        folder = tmp_path / "space"
        for path, content in hub.repositories["space", "me/support-triage"].head[2].items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        yield folder, {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}, hub.token


def ask(url, message):
    job = Client(url, verbose=False).submit(message, [], api_name="/ask")
    history, text, beside = job.result(timeout=_START_SECONDS)
    replies = [update[0][-1]["content"][0]["text"] for update in job.outputs()]
    return history, text, beside, replies


def test_a_visitor_gets_a_streamed_response_while_the_model_loads(space):
    history, text, beside, replies = ask(space, "my cam is broken 1")
    assert replies[0] == "The model is still loading; the response follows."
    assert len(replies) > 2, "it streams"
    assert history[0]["role"] == "user"
    assert history[-1]["role"] == "assistant"
    assert text == ""
    assert "Reference" in beside
    assert "This model, now" in beside


def test_on_the_hub_it_loads_the_revision_of_the_model_that_its_own_file_names(
    serve, space_of_the_hub
):
    folder, variables, token = space_of_the_hub
    _, _, _, replies = ask(serve(folder, "app.py", **variables, HF_TOKEN=token), "hello")
    assert len(replies) > 2, "it streams"
    assert not replies[-1].startswith("No response"), replies[-1]


def test_on_the_hub_without_a_token_it_says_which_secret_it_needs(serve, space_of_the_hub):
    folder, variables, _ = space_of_the_hub
    _, _, _, replies = ask(serve(folder, "app.py", **variables), "hello")
    assert re.search("No response.*me/support-triage.*secret HF_TOKEN", replies[-1])


def test_make_space_serves_the_best_local_model(serve, tmp_path, model_dir, evaluation_dir):
    best = RoundArtifacts(
        model=str(tmp_path / "trained"),
        report=str(evaluation_dir),
        synthetic="",
        exports="",
        pushed="",
    )
    (tmp_path / "trained").mkdir()
    (tmp_path / "trained" / "Format-Serving").symlink_to(model_dir)
    other = best.model_copy(update={"model": "/nowhere", "report": "/nowhere"})
    summary = loop_summary([other, best], best_round=2)
    output = tmp_path / "output"
    output.mkdir()
    (output / "summary.json").write_text(summary.to_json())
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^space:.*\n\t@.*local_runner.py space ", makefile, re.MULTILINE)
    url = serve(
        REPOSITORY, "local_runner.py", "space", "--preset", "smoke", "--set", f"output_dir={output}"
    )
    page = urllib.request.urlopen(url).read().decode()
    assert "Support triage" in page
    assert "(1 of 2)" in page, "the figures of the evaluation"
    _, _, beside, replies = ask(url, "my cam is broken 1")
    assert not replies[-1].startswith("No response"), replies[-1]
    assert "Reference" in beside


def test_an_upload_is_refused(space):
    answer = httpx.post(f"{space}/gradio_api/upload", files={"files": ("a.txt", b"text")})
    assert answer.status_code == 413
    assert "a.txt" not in answer.text


@pytest.mark.slow
def test_a_visitor_sees_why_there_is_no_model_and_still_the_figures(serve, browser, evaluation_dir):
    app = str(REPOSITORY / "apps" / "space" / "app.py")
    url = serve(
        evaluation_dir, app, "--model", "/nowhere/model", "--evaluation", str(evaluation_dir)
    )
    browser.open(url, 390)
    status = browser.wait_for("document.querySelector('.status.missing')?.innerText")
    assert "There is no model at /nowhere/model. Run the pipeline first." in status
    assert "gate of 70.0\u00a0% missed" in browser.run(
        "return document.querySelector('#figures').innerText"
    )
    assert browser.overflow() == 0, "fits the screen"


@pytest.mark.slow
def test_html_in_a_message_or_a_prompt_is_shown_as_text(serve, browser, evaluation_dir):
    app = str(REPOSITORY / "apps" / "space" / "app.py")
    url = serve(evaluation_dir, app, "--model", "/nowhere", "--evaluation", str(evaluation_dir))
    browser.open(url, 1280)
    browser.wait_for("document.querySelector('#message textarea')")
    field = browser.find_element("css selector", "#message textarea")
    field.send_keys("<img src=x> <b>bold</b>", Keys.ENTER)
    browser.wait_for("document.querySelector('#chat .bot')?.innerText.includes('No response')")
    asked = browser.run("return document.querySelector('#chat .user').innerText.trim()")
    assert asked == "<img src=x> <b>bold</b>"
    tabs = "[...document.querySelectorAll('[role=tab]')]"
    browser.run(f"{tabs}.find(t => t.innerText.includes('Coverage prompts')).click()")
    browser.wait_for("document.querySelector('#table')?.innerText.includes('<img src=x onerror')")
    assert browser.run("return document.querySelectorAll('[src=x], #chat b').length") == 0
    assert not [url for url in browser.requested() if url.endswith("/x")], "no image is asked for"


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390], ids=str)
def test_a_visitor_asks_gets_an_answer_and_sees_the_figures(space, browser, width):
    browser.open(space, width)
    browser.wait_for("document.querySelector('#message textarea')")
    figures = browser.run("return document.querySelector('#figures').innerText")
    assert re.search(r"50\.0\s*%", figures), figures
    assert "gate of 70.0\u00a0% missed" in figures
    assert "stand-in" in browser.run("return document.querySelector('header').innerText")

    browser.wait_for("document.querySelector('.status.ready')")
    seen = browser.run(
        "const box = document.querySelector('#message textarea').getBoundingClientRect();"
        "return [box.top >= 0, box.bottom <= innerHeight, scrollY]"
    )
    assert seen == [True, True, 0], "the message is in view without scrolling"
    assert "The task: Sort the message." in browser.run(
        "return document.querySelector('header').innerText"
    )
    browser.run("document.querySelector('#examples button').click()")
    browser.wait_for("document.querySelector('#message textarea').value === 'my cam is broken 1'")
    browser.wait_for("document.querySelector('#beside').innerText.includes('Service LLM')")
    field = browser.find_element("css selector", "#message textarea")
    field.clear()
    field.send_keys("my cam is broken 1", Keys.ENTER)
    answer = browser.wait_for("document.querySelector('#chat .bot')?.innerText?.trim()")
    assert answer
    assert "No response" not in answer
    beside = browser.wait_for("document.querySelector('#beside pre')?.innerText")
    assert '"category": "defect"' in beside

    tabs = "[...document.querySelectorAll('[role=tab]')]"
    browser.run(f"{tabs}.find(t => t.innerText.includes('Coverage prompts (3)')).click()")
    browser.wait_for("document.querySelectorAll('#table article').length === 3")
    browser.find_element("css selector", "#text textarea, #text input").send_keys("onerror")
    browser.wait_for("document.querySelectorAll('#table article').length === 1")
    covered = "[...document.querySelectorAll('#wanted label')].find(l => l.innerText === 'Covered')"
    browser.run(f"{covered}.click()")
    browser.wait_for("document.querySelector('#table .empty')")

    assert browser.overflow() == 0, "fits the screen"
    assert browser.run("return document.documentElement.clientWidth") == width
    assert browser.violations() == []

    browser.open(space, width, "dark")
    browser.wait_for("document.querySelector('.status.ready')")
    browser.run("for (const part of document.querySelectorAll('details')) part.open = true")
    assert browser.violations() == []
