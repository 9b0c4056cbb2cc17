"""Sends one request of a kind, once, and tells what came of it."""

import asyncio
import contextlib
import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from core.errors import UserError
from core.usage import Usage
from service_llm.errors import RejectedError, TransientError
from service_llm.parsing import parse
from service_llm.providers.registry import Provider, open_provider
from service_llm.reply_parser import reply_cost_usd
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Reply, Request

_MAX_ADAPTATIONS = 10  # a model refuses fewer parameters than that
_TRANSIENT_TRIES = 3
_WHY = {
    "bad_output": "the reply cannot be read as JSON of the schema",
    "truncated": "the reply was cut off at its limit of tokens; lower service_llm.thinking",
    "refused": "the service refused the request",
}


class Probe(NamedTuple):
    """A request of a kind that a run would send.

    Attributes:
        kind: What it asks for, such as `judge`.
        request: The request.
    """

    kind: str
    request: Request


@dataclasses.dataclass(frozen=True)
class ProbeResult:
    """What came of a probe.

    Attributes:
        kind: Of the probe.
        problem: What is wrong; empty where the reply can be used.
        reply: The reply's text; empty where none came.
        adaptations: What had to be left out or replaced so that the model accepted it.
        usage: What it used.
        model_version: The model that answered, as the provider names it.
    """

    kind: str
    problem: str
    reply: str = ""
    adaptations: tuple[str, ...] = ()
    usage: Usage = dataclasses.field(default_factory=Usage)
    model_version: str = ""


def send_probes(settings: ServiceLLMSettings, probes: Sequence[Probe]) -> list[ProbeResult]:
    """Send each request once, one after the other; nothing is written to a journal.

    A batch service is asked singly, as a job may take a day; what jobs need is looked at first.

    Args:
        settings: The service.
        probes: What to send.
    """
    checked = [_checked_jobs(settings)] if settings.batch else []
    singly = settings.model_copy(update={"batch": False})
    return checked + asyncio.run(_send(singly, probes))


def _checked_jobs(settings: ServiceLLMSettings) -> ProbeResult:
    """Return whether batch jobs can be listed, and their folder written, read and deleted from."""
    from service_llm.providers.gemini_batch import GeminiBatches

    problem = ""
    try:
        with contextlib.closing(GeminiBatches(settings)) as batches:
            batches.check()
    except (UserError, TransientError) as error:
        problem = str(error)
    return ProbeResult("batch jobs", problem)


async def _send(settings: ServiceLLMSettings, probes: Sequence[Probe]) -> list[ProbeResult]:
    try:
        provider = open_provider(settings)
    except UserError as error:
        return [ProbeResult(probe.kind, str(error)) for probe in probes]
    results = []
    try:
        for probe in probes:
            results.append(await _sent(provider, settings, probe))
    finally:
        await provider.close()
    return results


async def _sent(provider: Provider, settings: ServiceLLMSettings, probe: Probe) -> ProbeResult:
    try:
        reply = await _reply(provider, settings, probe.request)
    except (UserError, RejectedError, TransientError) as error:
        return ProbeResult(probe.kind, str(error), adaptations=_adaptations(provider))
    _, problem = parse(reply, probe.request.schema)
    cost = reply_cost_usd(settings, reply, probe.request.system + probe.request.prompt)
    unknown = 0 if reply.usage_known else 1
    usage = Usage(1, reply.prompt_tokens, reply.output_tokens, cost, unknown)
    said = f" ({reply.reason})" if reply.reason else ""
    return ProbeResult(
        probe.kind,
        f"{_WHY[problem]}{said}" if problem else "",
        reply.text,
        _adaptations(provider),
        usage,
        reply.model_version,
    )


async def _reply(provider: Provider, settings: ServiceLLMSettings, request: Request) -> Reply:
    failures = adaptations = 0
    while True:
        try:
            async with asyncio.timeout(settings.timeout_seconds):
                return await provider.send(request)
        except TimeoutError as error:
            message = f"{settings.model} did not answer within {settings.timeout_seconds:g} s."
            raise TransientError(message) from error
        except TransientError as error:
            adaptations += error.is_adapted
            failures += not error.is_adapted
            if failures >= _TRANSIENT_TRIES or adaptations > _MAX_ADAPTATIONS:
                raise
            if not error.is_adapted:
                await asyncio.sleep(settings.retry_seconds * 2**failures)


def _adaptations(provider: Provider) -> tuple[str, ...]:
    """Return what a provider has learned; not every provider learns."""
    return tuple(getattr(provider, "adaptations", ()))
