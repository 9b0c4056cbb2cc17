"""What a gateway does besides answering requests, from its start to its end."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from serving.gateway.error_log import print_error
from serving.gateway.gateway import Gateway
from serving.gateway.local_model import LocalModel
from serving.gateway.model_server import ModelFailedError
from serving.gateway.pages import Readiness
from serving.gateway.reload import ReloadError, verify

_WARM_UP_RETRY_SECONDS = 0.5
_LOOK_SECONDS = 1.0
_TELL_SECONDS = 60.0
_AGAIN_SECONDS = 1.0  # after an error of a job itself


class Jobs:
    """The jobs of a gateway.

    Args:
        gateway: Whose.
        readiness: Set once all its models have answered.
        on_readiness: Called now and then with why they have not, and with "" once they have.
    """

    def __init__(
        self,
        gateway: Gateway,
        readiness: Readiness,
        on_readiness: Callable[[str], None] = lambda problem: None,
    ) -> None:
        self._gateway = gateway
        self._readiness = readiness
        self._on_readiness = on_readiness
        self._told_at = -math.inf

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run them meanwhile."""
        gateway = self._gateway
        jobs = [self._warm_up, self._keep_warm, self._look_around, gateway.shadow.run_forever]
        if gateway.webhook is not None:
            jobs.append(gateway.webhook.post_forever)
        running = [asyncio.create_task(kept_up(job)) for job in jobs]
        try:
            yield
        finally:
            for job in running:
                job.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _look_around(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self._gateway.look_around()

    async def _warm_up(self) -> None:
        """Ask every model a sample until it answers."""
        readiness = self._readiness
        while not readiness.is_ready:
            try:
                await verify(self._gateway.served, samples=1)
            except ReloadError as error:
                self._set_problem(str(error))
                await asyncio.sleep(_WARM_UP_RETRY_SECONDS)
            except Exception:
                self._set_problem("the gateway failed while it asked the model; its log says where")
                raise
            else:
                readiness.is_ready, readiness.problem = True, ""
                self._on_readiness("")

    def _set_problem(self, problem: str) -> None:
        """Keep what is wrong, and say it now and then: it changes with every state of a breaker."""
        self._readiness.problem = problem
        if time.monotonic() - self._told_at >= _TELL_SECONDS:
            self._told_at = time.monotonic()
            self._on_readiness(problem)

    async def _keep_warm(self) -> None:
        """Ask idle models a sample now and then, so that they stay in memory."""
        seconds = self._gateway.settings.model.keep_warm_seconds
        while seconds:
            await asyncio.sleep(seconds)
            for model in self._gateway.served.models.values():
                await self._sample(model, seconds)

    async def _sample(self, model: LocalModel, idle_seconds: float) -> None:
        alarms, name = self._gateway.alarms, f"tuned_model:{model.task.name}"
        is_idle = time.monotonic() - model.last_used >= idle_seconds and not model.in_use
        # A model that is busy again says nothing of itself here, and its alarm would stay.
        if not model.task.samples or not (is_idle or alarms.is_raised(name)):
            return
        try:
            await model.sample(model.task.samples[0])
        except ModelFailedError as error:
            alarms.set(name, True, str(error))
        else:
            alarms.set(name, False, "the tuned model answers again")


async def kept_up(job: Callable[[], Awaitable[None]]) -> None:
    """Run a job to its end, and begin it again after an error: nobody would notice it is gone.

    Args:
        job: Begins it.
    """
    while True:
        try:
            await job()
            return
        except Exception as error:
            print_error(error)
        await asyncio.sleep(_AGAIN_SECONDS)
