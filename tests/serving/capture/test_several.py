"""Several gateway processes that share nothing but the folder of captured exchanges."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from task.importers import read_pairs
from tests.serving.conftest import ROOT
from tests.serving.gateway import fakes
from tests.serving.gateway.harness import GEMINI_PATH, gemini_request, harness

pytestmark = pytest.mark.slow
GATEWAYS = 3
REQUESTS = 40  # to each of them
LONG = "x" * 6000  # longer than what the system appends at once, whoever else does


class Reader(threading.Thread):
    """Reads the folder while it is written, as `verdict` and `cutover` do."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.folder, self.is_over, self.seen, self.problems = folder, threading.Event(), 0, []

    def run(self):
        while not self.is_over.is_set():
            for file in self.folder.glob("*.jsonl"):
                # What has no end yet is being written just now.
                for line in file.read_text().split("\n")[:-1]:
                    self.seen += 1
                    if not (line.startswith("{") and line.endswith("}")):
                        self.problems.append(line[-80:])


@pytest.fixture
def gateways(tmp_path):
    """Processes with one folder, and the fake service that they ask."""
    with harness() as servers, contextlib.ExitStack() as stack:
        command = [sys.executable, "-m", "tests.serving.capture.gateway_process"]
        processes = []
        for _ in range(GATEWAYS):
            process = subprocess.Popen(
                [*command, servers.service.url, str(tmp_path)],
                cwd=ROOT, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            stack.callback(process.wait)
            stack.callback(process.kill)
            processes.append(process)
        ports = [int(process.stdout.readline()) for process in processes]
        yield servers, processes, [f"http://127.0.0.1:{port}" for port in ports]


def test_no_line_of_gateways_that_share_a_folder_is_lost_or_mixed_with_another(gateways, tmp_path):
    servers, processes, urls = gateways
    servers.service.behavior = fakes.healthy(f'{{"category": "billing", "why": "{LONG}"}}')

    def ask(number):
        with httpx.Client(base_url=urls[number], headers={"x-user": "ada"}, timeout=60) as client:
            for n in range(REQUESTS):
                body = gemini_request(f"Gateway {number}, request {n}: {LONG}")
                assert client.post(GEMINI_PATH, json=body).status_code == 200
        processes[number].send_signal(signal.SIGTERM)  # the others continue meanwhile
        return processes[number].wait(60)

    reader = Reader(tmp_path)
    reader.start()
    with ThreadPoolExecutor(GATEWAYS) as pool:
        assert list(pool.map(ask, range(GATEWAYS))) == [0] * GATEWAYS
    reader.is_over.set()
    reader.join()
    assert (reader.problems, reader.seen > 0) == ([], True)
    files = list(tmp_path.glob("*.jsonl"))
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    asked = [line["messages"][-1]["text"].partition(":")[0] for line in lines]
    assert sorted(asked) == sorted(
        f"Gateway {number}, request {n}" for number in range(GATEWAYS) for n in range(REQUESTS)
    )
    assert len({line["id"] for line in lines}) == len(lines)
    # One salt for all: a user is the same one at every gateway.
    assert len({line["session"] for line in lines}) == 1
    assert len(read_pairs(str(tmp_path)).pairs) == len(lines)
