"""Runs of the `smoke` preset that faults are done to, and the service that they ask."""

import collections
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from standin.server import serve

ROOT = Path(__file__).resolve().parents[2]
CONCURRENCY = 4
# One round in which every component has something to do: whatever the rate, the model is pushed.
SETTINGS = (
    "output_dir=output",
    "evaluator.gate.threshold_percent=0",
    "evaluator.baselines=[]",
    "training.checkpoint_steps=1",
    f"service_llm.max_concurrency={CONCURRENCY}",
)
# The metadata hold paths as they were given: relative ones, so that a finished run can be copied.
NEEDED_IN_A_FOLDER = ("data", "pipeline", ".cache")


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a run ended: its exit status, negative for a signal, and what it printed."""

    status: int
    output: str


class Starter:
    """A process of `tests.faults.starter`."""

    def __init__(self, environment):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.starter"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert json.loads(self._process.stdout.readline())["ready"]

    def run(self, folder, *settings, faults=None):
        """The command `run` in a folder, with faults and further settings of the test."""
        arguments = ["run", "--preset", "smoke"]
        arguments += [part for pair in (*SETTINGS, *settings) for part in ("--set", pair)]
        order = {"arguments": arguments, "folder": str(folder), "faults": faults or {}}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Ended(**json.loads(self._process.stdout.readline()))

    def close(self):
        """End it."""
        self._process.stdin.close()
        self._process.wait()


class Service:
    """The stand-in, and what it was asked."""

    def __init__(self, server, record):
        self.url = server.url
        self._record = record

    def asked(self):
        """Each request that arrived so far, and how often."""
        return collections.Counter(self._record.read_text(encoding="utf-8").splitlines())


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    record = tmp_path_factory.mktemp("service") / "requests.jsonl"
    with serve(latency_seconds=0.005, record_file=record) as server:
        yield Service(server, record)


@pytest.fixture(scope="session")
def run(service):
    starter = Starter({**os.environ, "UNDERSTUDY_STANDIN_URL": service.url})
    yield starter.run
    starter.close()


@pytest.fixture(scope="session")
def unbroken(run, service, tmp_path_factory):
    """A folder with a finished run, and `requests.json`; one for all processes of the tests."""
    parallel = "PYTEST_XDIST_WORKER" in os.environ
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if parallel else base) / "unbroken"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            before = service.asked()
            unfinished = workplace(folder.with_suffix(".part"))
            ended = run(unfinished)
            assert ended.status == 0, ended.output
            requests = service.asked() - before
            (unfinished / "requests.json").write_text(json.dumps(requests), encoding="utf-8")
            unfinished.rename(folder)
    return folder


@pytest.fixture
def finished(unbroken, tmp_path):
    """A copy of a finished run's folder, for a fault."""
    folder = workplace(tmp_path / "run")
    shutil.copytree(unbroken / "output", folder / "output", symlinks=True)
    return folder


def workplace(folder):
    """A new folder that the command can be run in."""
    folder.mkdir()
    for name in NEEDED_IN_A_FOLDER:
        (folder / name).symlink_to(ROOT / name)
    return folder
