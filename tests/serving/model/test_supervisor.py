"""What keeps a server running, with a process that stands for llama.cpp's."""

import asyncio
import errno
import sys

import pytest

from core.errors import UserError
from serving.model import supervisor as supervisor_module
from serving.model.engine import Engine
from serving.model.llama_cpp import LlamaCppSpec
from serving.model.supervisor import ModelSupervisor


class Ready(Engine):
    """A server that answers at once."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9", "tuned")

    async def check_ready(self) -> None:
        pass

    async def check_alive(self, timeout_seconds: float) -> None:
        pass


@pytest.fixture
def starts(monkeypatch):
    """Starts a process that sleeps, or raises the first of `fails` where there are any."""
    spawn = asyncio.create_subprocess_exec
    started, fails = [], []

    async def start(*command, **options):
        if fails:
            raise fails.pop(0)
        options.pop("cwd")
        sleeping = (sys.executable, "-c", "import time; time.sleep(600)")
        started.append(await spawn(*sleeping, **options))
        return started[-1]

    monkeypatch.setattr(supervisor_module.asyncio, "create_subprocess_exec", start)
    monkeypatch.setattr(supervisor_module, "_FIRST_RESTART_SECONDS", 0.01)
    return started, fails


def spec(folder) -> LlamaCppSpec:
    return LlamaCppSpec(gguf=folder / "m.gguf", alias="m", port=9, context_length=512, slots=1)


def test_a_server_that_cannot_be_started_for_a_while_is_started_later(starts, tmp_path):
    started, fails = starts
    states = []

    async def work() -> None:
        supervisor = ModelSupervisor(
            Ready(), spec(tmp_path), on_state=lambda ready, reason: states.append((ready, reason))
        )
        await supervisor.start(30)
        fails.extend([OSError(errno.ENOMEM, "Cannot allocate memory")] * 3)
        started[0].kill()
        async with asyncio.timeout(30):
            while len(started) < 2 or not supervisor.is_ready:
                await asyncio.sleep(0.01)
        await supervisor.stop()

    asyncio.run(work())
    assert [ready for ready, _ in states] == [True, False, True]
    assert "ended with status -9" in states[1][1]


def test_a_server_that_cannot_be_started_at_first_is_said(starts, tmp_path):
    _, fails = starts
    fails.append(OSError(errno.ENOMEM, "Cannot allocate memory"))
    supervisor = ModelSupervisor(Ready(), spec(tmp_path))
    with pytest.raises(UserError, match=r"cannot be started \(Cannot allocate memory\)"):
        asyncio.run(supervisor.start(30))
