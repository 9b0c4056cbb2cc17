"""Four gateway processes behind nginx, while one is killed."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading

import httpx
import pytest

from serving.model.llama_cpp import LlamaCppSpec
from serving.model.supervisor import free_port
from standin.application import serve
from tests.serving.conftest import INSTRUCTION, ROOT
from tests.serving.pairs import PAIRS
from tests.serving.test_serve import MODEL, Served, until, write_tiny_preset

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not shutil.which("nginx") and os.environ.get("CI") != "true",
        reason="nginx is not installed: apt-get install nginx-light",
    ),
]
THREADS = 4
BODY = {
    "systemInstruction": {"parts": [{"text": INSTRUCTION}]},
    "contents": [{"role": "user", "parts": [{"text": PAIRS[0][0]}]}],
}


@pytest.fixture
def model(run_folder):
    """One server of the tuned model, which all gateways ask."""
    spec = LlamaCppSpec(
        gguf=next(run_folder.rglob("model.gguf")),
        alias="tuned",
        port=free_port(),
        context_length=512,
        slots=4,
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "serving.model.llama_cpp", spec.model_dump_json()],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{spec.port}"
    until(lambda: httpx.get(f"{url}/health").status_code == 200)
    yield f"{url}/v1"
    process.kill()
    process.wait()


@pytest.fixture
def nginx(tmp_path):
    """Starts nginx with the repository's configuration in front of some ports."""
    running = []

    def start(ports):
        text = (ROOT / "deploy" / "serve" / "nginx.conf").read_text()
        for number, port in enumerate(ports, start=8101):
            text = text.replace(f"127.0.0.1:{number} ", f"127.0.0.1:{port} ")
        port = free_port()
        text = text.replace("listen 127.0.0.1:8100", f"listen 127.0.0.1:{port}")
        file = tmp_path / "nginx.conf"
        file.write_text(f"daemon off;\npid {tmp_path}/nginx.pid;\n{text}")
        command = ["nginx", "-c", str(file), "-p", str(tmp_path), "-e", str(tmp_path / "error")]
        running.append(subprocess.Popen(command))
        url = f"http://127.0.0.1:{port}"
        until(lambda: httpx.get(f"{url}/understudy/ready").status_code == 200)
        return url

    yield start
    for process in running:
        process.terminate()
        process.wait()


def test_one_of_four_gateways_is_killed_and_nothing_after_it_is_lost(
    run_folder, tmp_path, model, nginx
):
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(serve())
        preset = write_tiny_preset(tmp_path, run_folder, service.url, model={"url": model})
        gateways = []
        for _ in range(4):
            gateways.append(Served(preset))
            stack.callback(gateways[-1].process.kill)
        url = nginx([gateway.port for gateway in gateways])
        statuses, over, killed = [], threading.Event(), threading.Event()

        def ask():
            with httpx.Client(timeout=60) as client:
                while not over.is_set():
                    was_killed = killed.is_set()
                    path = f"{url}/v1beta/models/{MODEL}:generateContent"
                    reply = client.post(path, json=BODY, headers={"x-goog-api-key": "a-key"})
                    statuses.append((was_killed, reply.status_code))

        threads = [threading.Thread(target=ask) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        until(lambda: len(statuses) > 20)
        gateways[1].process.send_signal(signal.SIGKILL)
        gateways[1].process.wait()
        killed.set()
        seen = len(statuses)
        until(lambda: len(statuses) > seen + 40)
        over.set()
        for thread in threads:
            thread.join()
    # What the killed process had read is lost with it; nothing that was asked later is.
    in_flight = [status for was_killed, status in statuses if not was_killed and status != 200]
    assert len(in_flight) <= THREADS
    assert [status for was_killed, status in statuses if was_killed and status != 200] == []


def test_the_configuration_names_four_gateways():
    text = (ROOT / "deploy" / "serve" / "nginx.conf").read_text()
    assert len(re.findall(r"server 127\.0\.0\.1:81\d\d ", text)) == 4
