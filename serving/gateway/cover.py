"""A request of a task: the service's answer, or the tuned model's where the service fails."""

import functools
from typing import Any

from serving.gateway import checks, faults
from serving.gateway.asked import Asked, sentence
from serving.gateway.breaker import Breaker
from serving.gateway.breakers import Permits
from serving.gateway.faults import Failure, Fault, Scope
from serving.gateway.first_byte import Kind
from serving.gateway.matching import Match
from serving.gateway.model_server import ModelFailedError
from serving.gateway.passthrough import request_for
from serving.gateway.protocols.base import ModelAnswer
from serving.gateway.race import Race
from serving.gateway.reasons import after
from serving.gateway.responder import SERVICE
from serving.gateway.service_call import Outcome, ServiceCall
from serving.gateway.service_only import answer_by_service


class Cover:
    """One request of a task that the service answers first.

    Args:
        asked: The request.
        match: Its task.
        service_reason: Why the service answers, where it does.
    """

    def __init__(self, asked: Asked, match: Match, service_reason: str) -> None:
        self._asked = asked
        self._match = match
        self._gateway = asked.gateway
        self._service_reason = service_reason
        self._is_watched = False  # the service's request, by others, when this one is answered

    async def answer(self, body: Any) -> None:
        """Answer it, by whoever can.

        Args:
            body: Of the request.
        """
        asked, gateway = self._asked, self._gateway
        who = (asked.caller.key, asked.model, asked.backend)
        permits = gateway.breakers.permits(*who)
        if isinstance(permits, Breaker):
            if unmatched := await self._asked.too_long(self._match):
                gateway.record_unmatched(unmatched)
                await answer_by_service(asked, body, unmatched)
                return
            if asked.served.models[self._match.task.name].breaker.state != "open":
                failure = faults.failure(Fault.SERVER, "the service failed just now")
                await self._by_model(failure, f"breaker:{permits.reason}", None)
                return
            # Nobody else can answer.
            permits = gateway.breakers.watch(*who)
        try:
            call = asked.account.call = self._call(body)
            await self._race(call, permits)
        finally:
            if asked.account.call is not None and not self._is_watched:
                asked.account.call.close()
            permits.release()

    def _call(self, body: Any) -> ServiceCall:
        asked, settings = self._asked, self._gateway.settings
        return ServiceCall(
            self._gateway.session(),
            request_for(asked.client, asked.url, body),
            asked.dialect,
            asked.ask.stream,
            hold_bytes=settings.hold_kib * 1024,
            between_bytes_seconds=settings.between_bytes_seconds,
            check=functools.partial(checks.service_problem, self._match.task, settings.refusals),
        )

    async def _race(self, call: ServiceCall, permits: Permits) -> None:
        asked, gateway = self._asked, self._gateway
        kind = Kind(asked.ask.model, asked.ask.thinking, asked.ask.stream is not None)
        is_known = gateway.callers.covers(asked.caller)
        limits = gateway.limits
        limit = limits.limit(kind, asked.account.patience, is_known_key=is_known)
        usual = limits.limit(kind)
        finish = await Race(call, self._ask_model, limit, usual, limits.max_seconds).run()
        if finish.open_call is not None:
            self._is_watched = True
            gateway.late.watch(kind, call, finish.open_call)
        failure, outcome = finish.failure, finish.outcome
        if failure is None:
            assert outcome is not None
            await self._send_service(call, outcome, permits, kind)
            return
        gateway.record_failure(failure, asked.caller, asked.model, asked.backend)
        if failure.is_of_key and outcome and not gateway.callers.covers(asked.caller):
            permits.service.success()
            await self._send_held(outcome, failure)
            return
        permits.settle(failure)
        if finish.answer is not None:
            await asked.responder.send_model(
                asked.ask, self._match.task, finish.answer, failure.fault
            )
        elif finish.model_error is not None:
            await self._both_failed(failure, outcome, finish.model_error, failure.fault)
        elif unmatched := await self._asked.too_long(self._match):
            gateway.record_unmatched(unmatched)
            if not await self._sent_anyway(failure, outcome):
                await asked.say_why(failure, unmatched, f"unmatched:{unmatched.reason}")
        else:
            await self._by_model(failure, failure.fault, outcome)

    async def _ask_model(self) -> ModelAnswer:
        if unmatched := await self._asked.too_long(self._match):
            raise ModelFailedError(unmatched.why)
        return await self._asked.ask_model(self._match)

    async def _send_service(
        self, call: ServiceCall, outcome: Outcome, permits: Permits, kind: Kind
    ) -> None:
        asked, gateway = self._asked, self._gateway
        await asked.responder.begin_service(outcome, self._service_reason)
        failure = await call.relay(asked.client, outcome)
        permits.settle(failure)
        if failure is not None:
            reason = after(self._service_reason, failure.fault)
            asked.responder.headers(SERVICE, reason, outcome.status)
            gateway.record_failure(failure, asked.caller, asked.model, asked.backend)
        elif outcome.status < 300:
            gateway.record_success(asked.caller, asked.model, asked.backend)
            if call.first_byte_seconds is not None:
                gateway.limits.record(kind, call.first_byte_seconds)

    async def _by_model(self, failure: Failure, reason: str, outcome: Outcome | None) -> None:
        asked = self._asked
        try:
            answer = await asked.ask_model(self._match)
        except ModelFailedError as error:
            await self._both_failed(failure, outcome, error, reason)
        else:
            await asked.responder.send_model(asked.ask, self._match.task, answer, reason)

    async def _both_failed(
        self, failure: Failure, outcome: Outcome | None, error: ModelFailedError, reason: str
    ) -> None:
        if not await self._sent_anyway(failure, outcome):
            reason = after(self._service_reason, reason)
            message = f"{sentence(failure.text)} {sentence(str(error))}"
            await self._asked.responder.refuse(503, message, reason, error.retry_after_seconds)

    async def _sent_anyway(self, failure: Failure, outcome: Outcome | None) -> bool:
        """Whether the service's answer was given: empty or out of form is better than none."""
        if outcome is None or not outcome.is_whole or failure.scope is not Scope.REQUEST:
            return False
        await self._send_held(outcome, failure)
        return True

    async def _send_held(self, outcome: Outcome, failure: Failure) -> None:
        reason = after(self._service_reason, failure.fault)
        await self._asked.responder.send_held(outcome, reason)
