"""`understudy serve` as a user runs it: a process, real clients, and what is killed under it."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import httpx
import openai
import pytest
import yaml
from google import genai
from google.genai import types

from standin.application import serve as serve_service
from tests.serving.conftest import INSTRUCTION, ROOT, add_round
from tests.serving.pairs import PAIRS

MODEL = "stand-in-demo"
PROMPT, OUTPUT = PAIRS[0]
READY_SECONDS = 120


class Served:
    """A running `understudy serve`, and clients for it."""

    def __init__(self, preset, *, port=0):
        self.preset = preset
        command = [sys.executable, "local_runner.py", "serve", "--preset", str(preset)]
        self.process = subprocess.Popen(
            [*command, "--port", str(port)], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        self.said = []
        self.url = None
        for line in self.process.stderr:
            self.said.append(line)
            if found := re.search(r"Point the application at (http://\S+)", line):
                self.url = found[1]
                break
        assert self.url, "".join(self.said)
        self.port = int(self.url.rpartition(":")[2])
        self._reader = threading.Thread(
            target=lambda: self.said.extend(self.process.stderr), daemon=True
        )
        self._reader.start()
        until(lambda: httpx.get(f"{self.url}/understudy/ready").status_code == 200)

    def gemini(self, prompt=PROMPT, **config):
        options = types.HttpOptions(
            base_url=self.url, retry_options=types.HttpRetryOptions(attempts=1)
        )
        config = types.GenerateContentConfig(system_instruction=INSTRUCTION, **config)
        with genai.Client(vertexai=False, api_key="a-key", http_options=options) as client:
            return client.models.generate_content(model=MODEL, contents=prompt, config=config)

    def openai(self, prompt=PROMPT):
        with openai.OpenAI(base_url=f"{self.url}/v1", api_key="a-key", max_retries=0) as client:
            return client.chat.completions.create(
                model=MODEL,
                messages=[
                    {"role": "system", "content": INSTRUCTION},
                    {"role": "user", "content": prompt},
                ],
            )

    def post(self, prompt=PROMPT):
        body = {
            "systemInstruction": {"parts": [{"text": INSTRUCTION}]},
            "contents": [{"role": "user", "parts": [{"text": prompt}]}],
        }
        path = f"/v1beta/models/{MODEL}:generateContent"
        return httpx.post(
            self.url + path, json=body, headers={"x-goog-api-key": "a-key"}, timeout=60
        )

    def model_pid(self):
        """The process of llama.cpp's server, a child of the gateway's."""
        children = subprocess.run(
            ["ps", "-o", "pid=,args=", "--ppid", str(self.process.pid)],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.splitlines()
        pids = [int(line.split()[0]) for line in children if "serving.model.llama_cpp" in line]
        return pids[-1] if pids else None

    def command(self, *arguments):
        preset = ["--preset", str(self.preset), "--port", str(self.port)]
        return subprocess.run(
            [sys.executable, "local_runner.py", *arguments, *preset],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    def end(self):
        self.process.terminate()
        return self.process.wait(60)


def until(condition):
    deadline = time.monotonic() + READY_SECONDS
    while True:
        with contextlib.suppress(httpx.HTTPError):
            if condition():
                return
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def service():
    """The service, which a test may end and start again at the same address."""
    with contextlib.ExitStack() as stack:
        yield stack, stack.enter_context(serve_service())


def write_tiny_preset(folder, output_dir, service_url, **serving):
    """Writes the preset of a tiny run into a folder."""
    coverage = folder / "coverage"
    coverage.mkdir(exist_ok=True)
    rows = [
        {"id": f"p{i}", "prompt": prompt, "output": output, "split": ("seed", "holdout")[i % 2]}
        for i, (prompt, output) in enumerate(PAIRS)
    ]
    (coverage / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    values = {
        "extends": "smoke",
        "name": "tiny",
        "coverage_dir": str(coverage),
        "output_dir": str(output_dir),
        "task": {"name": "tiny_triage", "instruction": INSTRUCTION},
        "service_llm": {"provider": "gemini", "model": MODEL, "base_url": service_url},
        "serving": {"breakers": {"wait_seconds": 0.2, "max_wait_seconds": 0.5}} | serving,
    }
    file = folder / "tiny.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


@pytest.fixture
def write_preset(run_folder, service, tmp_path):
    """Writes the preset of the tiny run."""
    return lambda **serving: write_tiny_preset(tmp_path, run_folder, service[1].url, **serving)


@pytest.fixture
def start(write_preset):
    """Starts the gateway; it is ended with the test."""
    running = []

    def start(port=0, **serving):
        running.append(Served(write_preset(**serving), port=port))
        return running[-1]

    yield start
    for served in running:
        served.process.kill()
        served.process.wait()


def test_an_outage_is_not_noticed_by_either_client(start, service):
    served = start()
    assert served.gemini().model_version == "stand-in-1"
    service[0].close()
    answer, chat = served.gemini(), served.openai()
    assert answer.text == chat.choices[0].message.content == OUTPUT
    assert re.fullmatch(r"tiny_triage/round-1@[0-9a-f]{8}", answer.model_version)
    assert chat.model == answer.model_version
    reply = served.post()
    assert reply.headers["x-understudy-served-by"] == "model"
    assert reply.headers["x-understudy-model"] == answer.model_version
    pid = served.model_pid()
    assert served.end() == 0
    until(lambda: not os.path.exists(f"/proc/{pid}"))


def test_with_both_gone_the_answer_is_503_with_both_reasons(start, service):
    served = start()
    service[0].close()
    os.kill(served.model_pid(), signal.SIGSTOP)
    os.kill(served.model_pid(), signal.SIGKILL)
    reply = served.post()
    assert reply.status_code == 503
    assert "connection failed" in reply.json()["error"]["message"]
    assert "tuned model" in reply.json()["error"]["message"]
    assert int(reply.headers["retry-after"]) >= 1
    # The model's server is started again, and answers without anybody's help.
    until(lambda: served.post().status_code == 200)
    assert served.gemini().text == OUTPUT


def test_a_killed_model_is_not_noticed_while_the_service_answers(start):
    served = start()
    os.kill(served.model_pid(), signal.SIGKILL)
    assert [served.gemini().model_version for _ in range(3)] == ["stand-in-1"] * 3


def test_a_killed_gateway_starts_again_and_knows_the_keys_that_worked(start, service):
    served = start()
    served.gemini()
    pid = served.model_pid()
    file = served.preset.parent / "output" / "serving" / "keys.json"
    until(lambda: json.loads(file.read_text())["keys"])  # within milliseconds, beside the answer
    served.process.kill()
    served.process.wait()
    until(lambda: not os.path.exists(f"/proc/{pid}"))
    again = start(port=served.port)
    assert again.url == served.url
    keys = json.loads(file.read_text())
    assert len(keys["keys"]) == 1
    assert "a-key" not in json.dumps(keys)
    service[0].close()
    assert again.gemini().text == OUTPUT


def test_another_round_is_taken_up_without_a_lost_request_and_back(start, run_folder, service):
    add_round(run_folder, 2)
    served = start()
    served.gemini()
    service[0].close()
    statuses, refusals, versions, over = [], [], set(), threading.Event()

    def ask():
        while not over.is_set():
            reply = served.post()
            statuses.append(reply.status_code)
            refusals.extend([reply.text] if reply.status_code != 200 else [])
            versions.add(reply.headers.get("x-understudy-model", "").partition("@")[0])

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        forth = served.command("serve", "reload", "--round", "2")
        second = served.post().headers["x-understudy-model"]
        back = served.command("serve", "reload", "--round", "1")
        first = served.post().headers["x-understudy-model"]
        refused = served.command("serve", "reload", "--round", "9")
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert (forth.returncode, back.returncode, refused.returncode) == (0, 0, 2)
    assert "tiny_triage/round-2@" in forth.stdout
    assert second.startswith("tiny_triage/round-2@")
    assert first.startswith("tiny_triage/round-1@")
    assert "There is no round 9" in refused.stderr
    assert len(statuses) > 10
    assert refusals == []
    assert versions == {"tiny_triage/round-1", "tiny_triage/round-2"}


@pytest.mark.unpublished
def test_a_drill_ends_with_status_1_where_a_request_is_lost(write_preset, service):
    # Nobody answers: the service is gone, and the model's answers break the contract's schema.
    preset = write_preset(match="template", template="A {prompt} B")
    command = [sys.executable, "local_runner.py", "drill", "--preset", str(preset)]
    options = ["--faults", "F10", "--rate", "20", "--requests", "1"]
    done = subprocess.run(
        [*command, *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr, "1 is what scripts know, and not a crash"
    assert "requests were lost" in done.stdout
    report = json.loads((preset.parent / "output" / "drill.json").read_text())
    assert report["lost"] > 0


@pytest.mark.soak
def test_two_thousand_requests_at_once_are_answered_or_refused(start, service):
    served = start(model={"queue_length": 50})
    served.gemini()
    service[0].close()
    body = {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": INSTRUCTION},
            {"role": "user", "content": PROMPT},
        ],
    }

    async def ask_all():
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(timeout=120, limits=limits) as client:
            url = f"{served.url}/v1/chat/completions"
            return await asyncio.gather(*(client.post(url, json=body) for _ in range(2000)))

    replies = asyncio.run(ask_all())
    by_status = {reply.status_code for reply in replies}
    assert by_status == {200, 503}
    refused = [reply for reply in replies if reply.status_code == 503]
    assert all(int(reply.headers["retry-after"]) >= 1 for reply in refused)
    assert served.gemini().text == OUTPUT
