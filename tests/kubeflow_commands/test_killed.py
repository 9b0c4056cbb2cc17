"""`kubeflow_runner.py run` is killed at each of its requests, and loses and pays nothing twice."""

import contextlib
import multiprocessing
import os
import pathlib
import signal
import time

import pytest

from tests.kubeflow_commands import killed_commands
from tests.kubeflow_commands.jobs import finish, state, vertex_settings

MORE_THAN_ENOUGH = 200  # requests of one command


@pytest.fixture(scope="module")
def context():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([killed_commands.__name__])
    return context


@pytest.fixture
def cloud(cloud):
    cloud.on_create = lambda job: finish(cloud, job, blessed_at=100.0)
    return cloud


@pytest.fixture
def run(context, cloud, tmp_path):
    """Runs the loop; it is killed at a request, before or after that has its effect."""
    flags = vertex_settings(cloud, rounds__max_rounds=3)
    arguments = ["run", "--preset", "vertex", *flags]
    output, answer = tmp_path / "output", cloud.answer

    def run(killed_at=MORE_THAN_ENOUGH, *, has_effect=False):
        process = context.Process(
            target=killed_commands.command, args=(cloud.url, str(output), arguments)
        )
        requests = []

        def answered(*request):
            requests.append(request[:2])
            is_last = len(requests) == killed_at
            if is_last and not has_effect:
                _kill(process.pid)
                return 503, {}, {}
            found = answer(*request)
            if is_last:
                _kill(process.pid)
            return found

        cloud.answer = answered
        process.start()
        process.join()
        return process.exitcode, output.read_text(), requests

    return run


def _kill(pid):
    """Kill a process, and return once nothing more comes from it."""
    os.kill(pid, signal.SIGKILL)
    status = pathlib.Path(f"/proc/{pid}/stat")
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it was reaped
        while " Z " not in status.read_text():
            time.sleep(0.001)


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize("has_effect", [False, True], ids=["before", "after"])
def test_killed_at_each_request_a_loop_ends_as_an_unbroken_one(run, cloud, has_effect):
    killed = 0
    while True:
        status, told, requests = run(killed + 1, has_effect=has_effect)
        if status != -signal.SIGKILL:
            break
        killed += 1
    assert status == 0, told
    assert killed >= 10, "each kind of request was one at which it was killed"
    assert {method for method, _ in requests} >= {"GET", "POST"}
    assert "Stopped after round 3: rounds.max_rounds (3) is reached" in told
    rounds = [job["runtimeConfig"]["parameterValues"]["round"] for job in cloud.jobs.values()]
    assert rounds == [1, 2, 3], "no round was submitted twice"
    assert [entry["round"] for entry in state(cloud)["rounds"]] == [1, 2, 3]
    assert state(cloud)["stop_reason"] == "max_rounds"
    assert state(cloud)["attempt"] == 1, "a kill is no failure of a round"
    status, again, _ = run()
    assert (status, again.splitlines()[-5:]) == (0, told.splitlines()[-5:])
    assert len(cloud.jobs) == 3
