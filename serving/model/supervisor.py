"""Keeps a tuned model answering: started, ready once it generates, restarted when it dies."""

import asyncio
import contextlib
import random
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from core.errors import UserError
from serving.model.engine import Engine, EngineError, EngineRefusedError
from serving.model.llama_cpp import LlamaCppSpec

_POLL_SECONDS = 0.1  # between two tries of a server that is starting
_FIRST_RESTART_SECONDS = 0.5  # doubled at each further one, with jitter
_LONGEST_RESTART_SECONDS = 30.0
_STABLE_SECONDS = 60.0  # after which a death counts as the first one again
_ALIVE_SECONDS = 5.0  # between two looks, and for the answer to one
_ALIVE_MISSES = 3  # in a row, then the server hangs

OnState = Callable[[bool, str], None]


class ModelSupervisor:
    """A tuned model behind a server, which is this machine's own or another's.

    Args:
        engine: The server.
        spec: What a server of our own loads; None where `engine` is somebody else's.
        log: File that a server of our own writes to.
        on_state: Called with whether the model answers and why, at each change.
    """

    def __init__(
        self,
        engine: Engine,
        spec: LlamaCppSpec | None = None,
        log: Path | None = None,
        on_state: OnState = lambda ready, reason: None,
    ) -> None:
        self.engine = engine
        self._spec = spec
        self._log = log
        self._on_state = on_state
        self._ready = asyncio.Event()
        self._was_ready = False
        self._deaths = 0  # in a row
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the last try of the model brought a generation."""
        return self._ready.is_set()

    @property
    def pid(self) -> int | None:
        """The process of a server of our own, while it lives."""
        alive = self._process and self._process.returncode is None
        return self._process.pid if self._process and alive else None

    async def start(self, timeout_seconds: float) -> None:
        """Start, and wait until a short generation came back.

        Raises:
            UserError: None came back in time, the server ended, or it refuses the key.
        """
        self._task = asyncio.create_task(self._run(), name="tuned-model")
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait(
            (ready, self._task), timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED
        )
        ready.cancel()
        if self._task.done():
            self._task.result()
        if not self.is_ready:
            await self.stop()
            raise UserError(
                f"The tuned model at {self.engine.url} generated nothing within "
                f"{timeout_seconds:g} s{self._see_log()}. Look at the server, or set "
                "serving.model.url to another one."
            )

    async def restart(self) -> None:
        """Restart a server of our own, and wait until it generates: nothing is cached then."""
        if self._process is None:
            return
        self._deaths = 0
        self._set_ready(False, "it is being restarted")
        self._process.kill()
        await self._ready.wait()

    async def stop(self) -> None:
        """End a server of our own; what it still computes is lost."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError, UserError):
                await self._task
        await self.engine.close()

    async def _run(self) -> None:
        if self._spec is None:
            await self._watch()
            return
        while True:
            started = asyncio.get_running_loop().time()
            problem = ""
            try:
                await self._live(self._spec)
            except OSError as error:  # no memory or no disk for it just now
                problem = f"cannot be started ({error.strerror})"
            finally:
                ended = self._process and self._process.returncode
                problem = problem or f"ended with status {ended}"
                if not self._stopping():
                    self._set_ready(False, f"the model's server {problem}")
            if not self._was_ready:
                raise UserError(f"The server of the tuned model {problem}{self._see_log()}.")
            lived = asyncio.get_running_loop().time() - started
            wait = min(_FIRST_RESTART_SECONDS * 2**self._deaths, _LONGEST_RESTART_SECONDS)
            self._deaths = 0 if lived > _STABLE_SECONDS else self._deaths + 1
            await asyncio.sleep(wait * random.uniform(0.5, 1))

    async def _live(self, spec: LlamaCppSpec) -> None:
        """One life of a server of our own, from its start to its end."""
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(self._log.open("ab")) if self._log else None
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "serving.model.llama_cpp",
                spec.model_dump_json(),
                stdin=asyncio.subprocess.PIPE,  # closed by the system when this process ends
                stdout=log or asyncio.subprocess.DEVNULL,
                stderr=log or asyncio.subprocess.DEVNULL,
                cwd=Path(__file__).parents[2],
                start_new_session=True,  # Ctrl-C is for this process
            )
        watch = asyncio.create_task(self._watch())
        try:
            end = asyncio.create_task(self._process.wait())
            await asyncio.wait((watch, end), return_when=asyncio.FIRST_COMPLETED)
        finally:
            watch.cancel()
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()

    async def _watch(self) -> None:
        """Make the model ready and keep it so; returns when a server of our own hangs."""
        misses = 0
        while True:
            try:
                if not self.is_ready:
                    await self.engine.check_ready()
                    self._set_ready(True, "a short generation came back")
                else:
                    await self.engine.check_alive(_ALIVE_SECONDS)
                misses = 0
            except EngineError as error:
                if isinstance(error, EngineRefusedError) and not self._was_ready:
                    raise UserError(
                        f"The tuned model's server refuses the key: {error} Set "
                        "serving.model.api_key_env to the variable that holds it."
                    ) from error
                misses += 1
                if self.is_ready and misses >= _ALIVE_MISSES:
                    self._set_ready(False, str(error))
                    if self._spec:
                        return
            await asyncio.sleep(_ALIVE_SECONDS if self.is_ready else _POLL_SECONDS)

    def _set_ready(self, ready: bool, reason: str) -> None:
        if ready == self.is_ready:
            return
        if ready:
            self._was_ready = True
            self._ready.set()
        else:
            self._ready.clear()
        self._on_state(ready, reason)

    def _stopping(self) -> bool:
        return self._task is not None and bool(self._task.cancelling())

    def _see_log(self) -> str:
        """Where to read more, and what it ends with."""
        if not self._log or not self._log.is_file():
            return ""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        errors = [line for line in lines if " E " in line or "Error" in line] or lines[-1:]
        return f" ({' '.join(errors[-2:])[:400]}; see {self._log})"


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now; a server keeps it over its restarts."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port
