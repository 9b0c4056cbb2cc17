"""A request for an answer that the service alone may give."""

import time
from typing import Any

from serving.gateway import faults
from serving.gateway.asked import Asked
from serving.gateway.breakers import Permits
from serving.gateway.faults import Scope
from serving.gateway.listener import Listener
from serving.gateway.matching import Unmatched
from serving.gateway.passthrough import NoAnswerError, open_response, request_for, send_on
from serving.gateway.responder import SERVICE

_OFF = "off"


async def answer_by_service(asked: Asked, body: Any, unmatched: Unmatched | None) -> None:
    """Let the service alone answer.

    Args:
        asked: The request.
        body: Of the request.
        unmatched: Why the tuned model cannot; None where it must not.
    """
    permits = asked.gateway.breakers.watch(asked.caller.key, asked.model, asked.backend)
    try:
        await _answer(asked, body, unmatched, permits)
    finally:
        permits.release()


async def _answer(asked: Asked, body: Any, unmatched: Unmatched | None, permits: Permits) -> None:
    gateway, client = asked.gateway, asked.client
    reason = f"unmatched:{unmatched.reason}" if unmatched else _OFF
    sent = time.monotonic()
    try:
        request = request_for(client, asked.url, body)
        response = await open_response(gateway.session(), request)
    except NoAnswerError as error:
        permits.settle(error.failure)
        await asked.say_why(error.failure, unmatched, reason)
        return
    failure = faults.of_status(response.status, None, response.headers)
    if failure is None or failure.scope is Scope.BACKEND:
        permits.settle(failure)
    else:
        permits.service.success()  # it answered; what it says of the key is in a body nobody reads
    if unmatched and failure and failure.scope is Scope.BACKEND:
        response.close()
        await asked.say_why(failure, unmatched, reason)
        return
    if response.status < 300:
        gateway.record_success(asked.caller, asked.model, asked.backend)
    headers = asked.responder.headers(SERVICE, reason, response.status)
    if asked.account.match is None:
        await send_on(client, response, headers)
        return
    listener = Listener(response, asked.dialect, asked.ask.stream, sent)
    is_complete = await send_on(client, response, headers, listener.hear)
    asked.account.heard = listener.answer(is_complete=is_complete)
