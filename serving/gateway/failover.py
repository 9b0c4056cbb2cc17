"""A request for an answer: its task is recognized, and the mode says who is asked first."""

import asyncio
import functools
from typing import Any

from pydantic_core import from_json

from serving.gateway.asked import Asked, sentence
from serving.gateway.client_side import Client, ClientLeftError
from serving.gateway.cover import Cover
from serving.gateway.gateway import Gateway
from serving.gateway.matching import MAX_BODY, TOO_LARGE, UNREADABLE, Match, Unmatched
from serving.gateway.model_server import ModelFailedError
from serving.gateway.personal_data import UnreadableBodyError, holds_personal_data
from serving.gateway.plan import PRIVATE, UNSURE, Plan
from serving.gateway.protocols.base import ModelAnswer, Route
from serving.gateway.reasons import DEADLINE, LEFT, MODEL_ASKED, MODEL_FAILED, after
from serving.gateway.responder import SERVICE
from serving.gateway.service_only import answer_by_service
from serving.gateway.unpacking import UnpackError, unpacked

_OK, _STOPPED, _CRASHED = "ok", "gateway_stopped", "gateway_failed"
_MODELS_SHARE = 0.5  # of what the caller waits; the rest is the service's
_FALLBACK = b"x-understudy-fallback"


class AnswerRequest:
    """One request for an answer.

    Args:
        gateway: The shared parts.
        client: Who asks.
        route: What was recognized of the path.
    """

    def __init__(self, gateway: Gateway, client: Client, route: Route) -> None:
        self._gateway = gateway
        self._client = client
        self._route = route
        self._asked = Asked(gateway, client, route)
        self._service_reason = _OK

    async def answer(self) -> None:
        """Answer it, by whoever can."""
        asked = self._asked
        asked.served.requests += 1
        try:
            raw, is_all = await self._client.read(MAX_BODY)
            found = self._matched(raw) if is_all else Unmatched(TOO_LARGE)
            self._gateway.record_match(found)
            with self._client.watched():
                if await self._stays_here(raw, found, is_all=is_all):
                    return
                await self._by_whoever_can(found, raw if is_all else self._client.continued(raw))
        except ClientLeftError:
            self._note_end(after(self._service_reason, LEFT))
        except asyncio.CancelledError:
            self._note_end(_STOPPED)  # nobody failed
            raise
        except Exception:
            self._note_end(after(self._service_reason, _CRASHED))
            raise
        finally:
            try:
                self._gateway.record(asked.account.closed(asked.responder.said))
            finally:
                asked.served.requests -= 1  # last: who waits for none has them all counted

    def _matched(self, raw: bytes) -> Match | Unmatched:
        asked = self._asked
        encoding = self._client.header(b"content-encoding").decode("latin-1")
        try:
            body = from_json(unpacked(raw, encoding, MAX_BODY))
            ask = asked.account.ask = asked.dialect.read_request(body, self._route)
        except (ValueError, UnpackError):
            return Unmatched(UNREADABLE)
        asked.model = ask.model
        found = asked.served.matcher.match(ask)
        if isinstance(found, Match):
            asked.account.match = found
        return found

    async def _stays_here(self, raw: bytes, found: Match | Unmatched, *, is_all: bool) -> bool:
        """Whether nothing of the request may go to the service; then it is answered."""
        modes, responder = self._gateway.modes, self._asked.responder
        if modes.is_service_off and isinstance(found, Unmatched):
            message = f"The service is off, and the tuned model does not answer: {found.why}."
            await responder.refuse(503, message, f"unmatched:{found.reason}")
            return True
        if modes.current.mode != PRIVATE:
            return False
        try:
            if is_all and not await self._is_personal(raw):
                return False
            what = "It holds personal data" if is_all else "It is too large to be searched"
        except UnreadableBodyError:
            what = "It cannot be searched for personal data"
        if isinstance(found, Match):
            await self._by_model_first(found, Plan("model", PRIVATE, is_alone=True))
        else:
            message = f"{what} and stays here; the tuned model does not answer: {found.why}."
            await responder.refuse(503, message, PRIVATE)
        return True

    async def _is_personal(self, raw: bytes) -> bool:
        return await holds_personal_data(self._client, raw, self._asked.served.tasks)

    async def _by_whoever_can(self, found: Match | Unmatched, body: Any) -> None:
        asked = self._asked
        if isinstance(found, Unmatched):
            await answer_by_service(asked, body, found)
        elif self._says_off and not self._gateway.modes.is_service_off:
            await answer_by_service(asked, body, None)
        else:
            try:
                async with asyncio.timeout(asked.account.deadline) as deadline:
                    # Cut off there, an answer that has begun would look like a broken connection.
                    self._client.on_begin = functools.partial(deadline.reschedule, None)
                    try:
                        await self._by_plan(found, body)
                    finally:
                        self._client.on_begin = None  # a timeout that is over cannot be moved
            except TimeoutError:
                if not self._client.has_begun:
                    message = "Nobody answered within the deadline of X-Server-Timeout."
                    reason = after(self._service_reason, DEADLINE)
                    await asked.responder.refuse(504, message, reason)

    async def _by_plan(self, match: Match, body: Any) -> None:
        plan = self._gateway.modes.plan(self._asked.account.session or _beginning(match))
        if plan.first == SERVICE or not await self._by_model_first(match, plan):
            await Cover(self._asked, match, self._service_reason).answer(body)

    def _note_end(self, reason: str) -> None:
        """Note why a request is over, unless an answer has begun."""
        if not self._client.has_begun:
            self._asked.responder.note(reason)

    async def _by_model_first(self, match: Match, plan: Plan) -> bool:
        """Let the tuned model answer while the service is well; False where the service is to."""
        asked = self._asked
        self._service_reason = MODEL_ASKED
        try:
            answer = await self._model_answer(match, plan)
        except ModelFailedError as error:
            if self._service_reason == MODEL_ASKED:
                self._service_reason = MODEL_FAILED
            if plan.is_alone:
                text = sentence(str(error))
                await asked.responder.refuse(503, text, plan.reason, error.retry_after_seconds)
            return plan.is_alone
        if plan.must_be_sure and not match.task.is_sure(answer.confidence):
            self._service_reason = UNSURE
            return False
        await asked.responder.send_model(asked.ask, match.task, answer, plan.reason)
        return True

    async def _model_answer(self, match: Match, plan: Plan) -> ModelAnswer:
        """Ask the tuned model, and leave the service the time to answer in its place.

        Raises:
            ModelFailedError: It cannot answer, or not in time.
        """
        asked = self._asked
        patience = asked.account.patience
        seconds = None if plan.is_alone or patience is None else _MODELS_SHARE * patience
        try:
            async with asyncio.timeout(seconds):
                if unmatched := await asked.too_long(match):
                    self._gateway.record_unmatched(unmatched)
                    self._service_reason = f"unmatched:{unmatched.reason}"  # the model is well
                    raise ModelFailedError(f"it does not answer: {unmatched.why}")
                return await asked.ask_model(match)
        except TimeoutError:
            late = f"the tuned model did not answer within {seconds:.3g} s, half the caller's time"
            error = asked.account.tuned = ModelFailedError(late)  # nor is it asked again
            raise error from None

    @property
    def _says_off(self) -> bool:
        return self._client.header(_FALLBACK).lower() == b"off"


def _beginning(match: Match) -> str:
    """Return what stands for a conversation whose user nobody names."""
    return match.messages[0].text
