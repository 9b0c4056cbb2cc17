"""Copies requests to the tuned model after their answer was sent: the mode `shadow`."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable

from core.terminal import write_error
from serving.gateway.exchange import Exchange, TunedAnswer
from serving.gateway.local_model import LocalModel
from serving.gateway.matching import Match, too_long
from serving.gateway.model_server import ModelFailedError
from serving.gateway.protocols.base import ModelAnswer
from serving.gateway.threads import COUNTING
from serving.mode_settings import ShadowSettings

_POLL_SECONDS = 0.02
_NO_ANSWER = ModelAnswer("", (), is_cut=False, prompt_tokens=0, output_tokens=0)

FindModel = Callable[[str], LocalModel | None]
"""The model that answers a task now."""


class Shadow:
    """Asks the tuned model what the service answered already, one request at a time.

    No request waits for it: a copy that a request of an application would have to wait for is
    given up. It counts in no metric of requests.

    Args:
        settings: Share and length of the queue.
        find_model: See `FindModel`.
        on_done: Called with every exchange that was taken, with the tuned model's answer where it
            was asked; an empty answer where it failed at it.
        on_dropped: Called where there was no room or no time for a copy.
        rng: Draws the share.
    """

    def __init__(
        self,
        settings: ShadowSettings,
        find_model: FindModel,
        on_done: Callable[[Exchange], None],
        on_dropped: Callable[[], None],
        rng: random.Random | None = None,
    ) -> None:
        self._settings = settings
        self._find_model = find_model
        self._on_done = on_done
        self._on_dropped = on_dropped
        self._rng = rng or random.Random()
        self._waiting: deque[Exchange] = deque()
        self._has_some = asyncio.Event()
        self._asking: Exchange | None = None

    def offer(self, exchange: Exchange) -> bool:
        """Take an exchange, if it is to be copied; `on_done` gets it later. Returns at once."""
        content = exchange.content
        if content is None or content.ask is None or content.model is not None:
            return False
        if exchange.served_by != "service" or content.service is None or not content.service.text:
            return False
        if 100 * self._rng.random() >= self._settings.percent:
            return False
        if len(self._waiting) >= self._settings.queue_length:
            self._on_dropped()
            return False
        self._waiting.append(exchange)
        self._has_some.set()
        return True

    async def run_forever(self) -> None:
        """Ask the tuned model until cancelled; what waits then is given back as it is."""
        try:
            while True:
                await self._has_some.wait()
                while self._waiting:
                    self._asking = self._waiting.popleft()
                    self._on_done(await self._asked_safely(self._asking))
                    self._asking = None
                self._has_some.clear()
        finally:
            for exchange in ([self._asking] if self._asking else []) + list(self._waiting):
                self._on_done(exchange)
            self._waiting.clear()
            self._asking = None

    async def _asked_safely(self, exchange: Exchange) -> Exchange:
        try:
            return await self._asked(exchange)
        except Exception as error:  # or no request would ever be copied again
            write_error(f"understudy: a request was not copied: {type(error).__name__}")
            self._on_dropped()
            return exchange

    async def _asked(self, exchange: Exchange) -> Exchange:
        content = exchange.content
        assert content is not None
        model = self._find_model(exchange.task)
        while model is not None and model.slots.is_full:
            await asyncio.sleep(_POLL_SECONDS)
            model = self._find_model(exchange.task)
        # A breaker leaves "open" by a request alone, so once its time is over a copy may be it.
        if model is None or model.breaker.seconds_left() > 0:
            self._on_dropped()
            return exchange
        if await COUNTING.run(too_long, Match(model.task, content.messages)):
            return exchange  # the service's, in every mode
        started = time.monotonic()
        answering = asyncio.create_task(self._answer(model, exchange))
        try:
            while not (await asyncio.wait({answering}, timeout=_POLL_SECONDS))[0]:
                if model.slots.waiting:  # for the slot that this copy holds
                    self._on_dropped()
                    return exchange
            answer = answering.result()
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
        if answer is None:
            self._on_dropped()
            return exchange
        seconds = time.monotonic() - started
        tuned = TunedAnswer(answer, seconds, model.task.round, model.task.model_version)
        return exchange._replace(content=content._replace(model=tuned))

    @staticmethod
    async def _answer(model: LocalModel, exchange: Exchange) -> ModelAnswer | None:
        """Return the model's answer; None where it was not asked, which says nothing of it."""
        content = exchange.content
        assert content is not None
        assert content.ask is not None
        try:
            return await model.answer_unchecked(content.ask, content.messages, is_copy=True)
        except ModelFailedError as error:
            return _NO_ANSWER if error.was_asked else None
