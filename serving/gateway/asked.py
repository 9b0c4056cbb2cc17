"""What the ways to answer one request share: who asks, what is known of it, the tuned model."""

import time

from serving.gateway.account import Account
from serving.gateway.client_side import Client
from serving.gateway.exchange import TunedAnswer
from serving.gateway.faults import Failure
from serving.gateway.gateway import Gateway
from serving.gateway.matching import Match, Unmatched, too_long
from serving.gateway.model_server import ModelFailedError
from serving.gateway.passthrough import url_for
from serving.gateway.protocols.base import Ask, ModelAnswer, Route
from serving.gateway.responder import Responder
from serving.gateway.threads import COUNTING


class Asked:
    """One request for an answer while it is answered.

    Args:
        gateway: The shared parts.
        client: Who asks.
        route: What was recognized of the path.

    Attributes:
        caller: Who signs it.
        model: The model that is asked for; known from the body in some protocols.
        url: Where it goes at the service.
        backend: What answers there; see `Upstream.backend`.
        served: The tasks at its arrival: another round's may be served before it is over.
        account: What is known of it.
        responder: Writes its answer.
    """

    def __init__(self, gateway: Gateway, client: Client, route: Route) -> None:
        self.gateway = gateway
        self.client = client
        self.dialect = route.dialect
        self.caller = gateway.callers.caller(client)
        self.model = route.model
        self.url = url_for(client, gateway.upstream)
        self.backend = gateway.upstream.backend(self.url)
        self.served = gateway.served
        self.account = Account(client, route.dialect.name, gateway.settings.sticky_header)
        self.responder = Responder(client, route.dialect)
        self._counting_seconds = 0.0  # a caller waits for it as for the answer

    @property
    def ask(self) -> Ask:
        """What a request that was read asks for."""
        assert self.account.ask is not None
        return self.account.ask

    async def too_long(self, match: Match) -> Unmatched | None:
        """See `matching.too_long`; counting may ask a server, and nobody else waits for that."""
        started = time.monotonic()
        try:
            return await COUNTING.run(too_long, match)
        finally:
            self._counting_seconds += time.monotonic() - started

    async def ask_model(self, match: Match) -> ModelAnswer:
        """Let the tuned model answer; what came of it before counts again.

        Raises:
            ModelFailedError: It cannot.
        """
        account = self.account
        if account.tuned is None:
            started, task = time.monotonic(), match.task
            model = self.served.models[task.name]
            try:
                answer = await model.answer(self.ask, match.messages)
            except ModelFailedError as error:
                account.tuned = error
            else:
                seconds = time.monotonic() - started + self._counting_seconds
                account.tuned = TunedAnswer(answer, seconds, task.round, task.model_version)
        if isinstance(account.tuned, ModelFailedError):
            raise account.tuned
        return account.tuned.answer

    async def say_why(self, failure: Failure, unmatched: Unmatched | None, reason: str) -> None:
        """Say that the service failed, and why the tuned model does not answer.

        Args:
            failure: Of the service.
            unmatched: Why the tuned model cannot; None where it must not.
            reason: As in the metrics.
        """
        why = unmatched.why if unmatched else "the request says x-understudy-fallback: off"
        message = f"{sentence(failure.text)} The tuned model does not answer: {why}."
        await self.responder.refuse(503, message, reason, failure.wait_seconds)


def sentence(text: str) -> str:
    """Return a text as a sentence."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
