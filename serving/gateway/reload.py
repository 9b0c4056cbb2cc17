"""Takes up another round's model without losing a request, and goes back the same way."""

import asyncio
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from core.errors import UserError
from serving.chosen_round import keep_chosen_round
from serving.gateway.gateway import Gateway, Served
from serving.gateway.model_server import ModelFailedError
from serving.gateway.task import ServedTask

_DRAIN_POLL_SECONDS = 0.05
_KEEP_SECONDS = 5.0  # for a disk that answers
_SAMPLES = 3  # coverage prompts that a model has to answer first


class ModelHost(Protocol):
    """Starts and stops the servers of tuned models, for `serve reload`."""

    async def load(self, round: int | None) -> Sequence[ServedTask]:
        """Start the model of a round alongside the one that answers now.

        Args:
            round: The round; None for the kept round of the presets.

        Returns:
            All tasks as they are to be served from now on.

        Raises:
            UserError: There is no such round, or its model does not start.
        """

    async def retire(self, tasks: Sequence[ServedTask]) -> None:
        """Stop the servers of tasks that are served no longer.

        Args:
            tasks: No request is in flight for any of them.
        """


class ReloadError(UserError):
    """Another round's model cannot be loaded; the present one continues to serve."""


class Reloader:
    """Exchanges the tuned models of a gateway.

    Args:
        gateway: Whose.
        host: Loads and stops models; None refuses.
        state_dir: Keeps the round that was chosen; None forgets it with the process.
    """

    def __init__(
        self, gateway: Gateway, host: ModelHost | None, state_dir: Path | None = None
    ) -> None:
        self._gateway = gateway
        self._host = host
        self._state_dir = state_dir
        self._lock = asyncio.Lock()

    async def reload(self, round: int | None) -> list[str]:
        """Take up the models of a round.

        Args:
            round: The round; None for the kept one.

        Returns:
            What answers from now on, by task.

        Raises:
            ReloadError: They are not taken up, and why.
        """
        if self._host is None:
            raise ReloadError("This gateway cannot load other models.")
        async with self._lock:
            try:
                tasks = await self._host.load(round)
            except UserError as error:
                raise ReloadError(str(error)) from error
            fresh = self._gateway.serve(tasks)
            try:
                await verify(fresh)
            except Exception:  # of any kind, or the new server would never be stopped
                await self._host.retire(self._gone(fresh, self._gateway.served))
                raise
            before = self._gateway.take_up(fresh)
            await self._keep(round)
            await self._drained(before)
            await self._host.retire(self._gone(before, fresh))
            return [task.model_version for task in tasks]

    async def _keep(self, round: int | None) -> None:
        if self._state_dir is None:
            return
        keep = functools.partial(keep_chosen_round, self._state_dir, round)
        keeping = self._gateway.files.in_thread(keep)
        if (await asyncio.wait({keeping}, timeout=_KEEP_SECONDS))[0]:
            self._say_kept(keeping)
        else:
            self._set_alarm(f"has not answered in {_KEEP_SECONDS:g} s")
            keeping.add_done_callback(self._say_kept)

    def _say_kept(self, keeping: "asyncio.Future[None]") -> None:
        if keeping.cancelled():  # the gateway ends
            return
        error = keeping.exception()
        why = getattr(error, "strerror", None) or type(error).__name__
        self._set_alarm(f"cannot be written ({why})" if error else "")

    def _set_alarm(self, problem: str) -> None:
        if problem:
            problem = (
                f"{str(self._state_dir)!r} {problem}: a restart forgets which round was chosen. "
                "Free space, or make the folder writable, and reload again"
            )
        self._gateway.alarms.set("round", bool(problem), problem or "the round is kept")

    @staticmethod
    def _gone(served: Served, kept: Served) -> list[ServedTask]:
        urls = {task.base_url for task in kept.tasks}
        return [task for task in served.tasks if task.base_url not in urls]

    @staticmethod
    async def _drained(served: Served) -> None:
        while served.requests:
            await asyncio.sleep(_DRAIN_POLL_SECONDS)


async def verify(served: Served, samples: int = _SAMPLES) -> None:
    """Ask each model a few coverage prompts; readiness is an answer, not an open port.

    Args:
        served: The models.
        samples: Coverage prompts that each of them has to answer.

    Raises:
        ReloadError: A model does not answer, or not by its task's contract.
    """
    for task in served.tasks:
        for sample in task.samples[:samples]:
            try:
                await served.models[task.name].sample(sample)
            except ModelFailedError as error:
                raise ReloadError(f"{task.model_version} cannot be used: {error}.") from error
