"""The service LLM and the embedding model that a component asks, as its parameters name them."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from core.usage import Usage
from service_llm.client import ServiceLLM, open_service_llm
from service_llm.embedding import Embedder, open_embedder, read_embedder, usage_of
from service_llm.settings import EmbedderSettings, ServiceLLMSettings

_STAND_IN = "stand-in"  # how the stand-in's models are called


class Used(NamedTuple):
    """What a component's record says of the services.

    Attributes:
        usage: Of both.
        embedding_usage: Of the embedding model.
        embedding_model: Its name; None where none is configured.
        stand_in: Whether a stand-in took the service LLM's place.
    """

    usage: Usage
    embedding_usage: Usage
    embedding_model: str | None
    stand_in: bool


@dataclasses.dataclass(frozen=True)
class Services:
    """What a component asks in its part of a round.

    Attributes:
        settings: The service LLM.
        llm: Sends requests to it.
        embedder: The embedding model; None where none is configured.
        embed: Turns texts into vectors; None where none is configured.
        judge: Sends requests to the judge; None where it is the service LLM, or is not asked.
        judge_settings: The judge, likewise.
    """

    settings: ServiceLLMSettings
    llm: ServiceLLM
    embedder: EmbedderSettings | None
    embed: Embedder | None
    judge: ServiceLLM | None = None
    judge_settings: ServiceLLMSettings | None = None

    def used(self) -> Used:
        """Return what has been used so far."""
        embedding_usage = usage_of(self.embed)
        judge_usage = self.judge.usage() if self.judge else Usage()
        asked = (self.settings, self.judge_settings or self.settings)
        return Used(
            usage=self.llm.usage() + embedding_usage + judge_usage,
            embedding_usage=embedding_usage,
            embedding_model=self.embedder.model if self.embedder else None,
            stand_in=any(settings.model.startswith(_STAND_IN) for settings in asked),
        )


@contextlib.contextmanager
def open_services(exec_properties: Mapping[str, Any], component: str) -> Iterator[Services]:
    """Open what a component asks, and close it at the end of the block.

    Args:
        exec_properties: `service_llm` and `embedder`, as JSON; `journal_uri`; `round`; `judge_llm`
            as JSON where the component asks a judge besides.
        component: The component's name, under which usage is counted.

    Raises:
        UserError: The settings, a key or the journal cannot be used.
    """
    settings = ServiceLLMSettings.model_validate_json(exec_properties["service_llm"])
    embedder = read_embedder(exec_properties.get("embedder"))
    text = exec_properties.get("judge_llm")
    judge_settings = ServiceLLMSettings.model_validate_json(text) if text else None
    where = {
        "journal_uri": exec_properties["journal_uri"],
        "component": component,
        "round": int(exec_properties["round"]),
    }
    with (
        open_service_llm(settings, **where) as llm,
        open_embedder(embedder, **where) as embed,
        _open_judge(judge_settings, where) as judge,
    ):
        yield Services(settings, llm, embedder, embed, judge, judge_settings)


@contextlib.contextmanager
def _open_judge(
    settings: ServiceLLMSettings | None, where: Mapping[str, Any]
) -> Iterator[ServiceLLM | None]:
    if settings is None:
        yield None
        return
    # Usage is counted under a name of its own, since each client knows its own replies alone.
    asked = {**where, "component": f"{where['component']}, judge"}
    with open_service_llm(settings, **asked) as judge:
        yield judge
