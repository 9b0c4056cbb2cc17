"""Pushes that are killed or lose their connection at each step are completed by the next one."""

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from components.hf_pusher.errors import UnreachableError
from tests.components.hf_pusher.conftest import push

pytestmark = pytest.mark.usefixtures("token")

MODEL = ("model", "me/support-triage")
REPOSITORY_ROOT = Path(__file__).resolve().parents[3]
_START_SECONDS = 120
# In the order in which a push needs them.
STEPS = [
    *(("lfs", step) for step in ("whoami", "create", "info", "yaml", "preupload")),
    *(("lfs", step) for step in ("batch", "upload", "complete", "verify")),
    *(("xet", step) for step in ("xet_token", "xorb", "shard")),
    *(("lfs", step) for step in ("commit", "tag")),
]
AT_EACH_STEP = pytest.mark.parametrize(
    ("hub_server", "step"), STEPS, indirect=["hub_server"], ids=[step for _, step in STEPS]
)


# Imports once and forks for each push: the path of settings and source, and whether Xet is used.
_PUSHES = """
import os, pickle, sys
import huggingface_hub.hf_api, pyarrow.parquet
from components.hf_pusher.push import push_round

for line in sys.stdin:
    process = os.fork()
    if process == 0:
        environment, uses_xet, settings, source = pickle.load(open(line.rstrip(), "rb"))
        os.environ.update(environment)
        huggingface_hub.constants.HF_HUB_DISABLE_XET = not uses_xet
        push_round(settings, source, runs_on_this_machine=True)
        os._exit(0)
    print(process, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def pushes():
    with subprocess.Popen(
        [sys.executable, "-c", _PUSHES],
        cwd=REPOSITORY_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def killed_push(pushes, settings, source, hub_server, tmp_path):
    """Runs a push in a process of its own and kills it when the server reaches a step."""

    def run(step, skip, after):
        hub_server.hang(step, skip, after)
        uses_xet = step in ("xet_token", "xorb", "shard")
        order = tmp_path / "order.pickle"
        order.write_bytes(pickle.dumps((dict(os.environ), uses_xet, settings, source)))
        pushes.stdin.write(f"{order}\n")
        pushes.stdin.flush()
        process = int(pushes.stdout.readline())
        try:
            assert hub_server.hanging.wait(_START_SECONDS), f"the push never came to {step}"
        finally:
            os.kill(process, signal.SIGKILL)
            code = int(pushes.stdout.readline())
            hub_server.go_on.set()
            hub_server.faults.clear()
        assert code == -signal.SIGKILL

    return run


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@AT_EACH_STEP
def test_a_push_killed_at_any_step_is_completed_by_the_next(
    settings, source, hub_server, forget, killed_push, step, after
):
    killed_push(step, 0, after)
    completed = push(settings, source)
    state = hub_server.state()
    for commits, tags in state.values():
        assert [message for message, _ in commits[1:]] == ["Round 2: coverage rate 75.0 %"]
        assert set(tags) == {completed.tag}
    forget()
    push(settings, source)
    assert hub_server.state() == state, "as if nothing had happened"


@pytest.mark.parametrize("number", [1, 2], ids=["dataset", "space"])
@pytest.mark.parametrize("step", ["create", "commit", "tag"])
def test_a_push_killed_between_repositories_is_completed_by_the_next(
    settings, source, hub_server, forget, killed_push, step, number
):
    killed_push(step, number, after=False)
    push(settings, source)
    state = hub_server.state()
    forget()
    push(settings, source)
    assert hub_server.state() == state


@pytest.mark.parametrize("after", [False, True], ids=["before", "answer-lost"])
@AT_EACH_STEP
def test_a_push_that_loses_its_connection_is_completed_by_the_next(
    settings, source, hub_server, forget, step, after
):
    expected = push(settings, source)
    state = hub_server.state()
    forget()
    hub_server.fail(step, 0, after=after)
    with pytest.raises(UnreachableError, match="Run again"):
        push(settings, source)
    hub_server.faults.clear()
    assert push(settings, source) == expected
    assert hub_server.state() == state


def test_a_passing_fault_of_the_storage_is_retried(settings, source, hub_server):
    hub_server.fail("upload", 503, times=2)
    push(settings, source)
    assert MODEL in hub_server.repositories
