"""Vectors of texts, from a service: paced, journaled and counted like every other request."""

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from core.usage import Usage
from service_llm.client import ServiceLLM, open_service_llm
from service_llm.errors import ServiceLLMError
from service_llm.settings import EmbedderSettings
from service_llm.types import Request
from service_llm.vector import Embedding

_COMPONENT = "{}, embeddings"  # usage is counted under this name


@contextlib.contextmanager
def open_embedder(
    settings: EmbedderSettings | None, *, journal_uri: str, component: str, round: int
) -> "Iterator[Embedder | None]":
    """Return an embedding model for one component's part of a round; None where none is configured.

    Args:
        settings: The embedding model.
        journal_uri: Folder or `gs://` URI of the journal.
        component: Who asks.
        round: The round it asks for.

    Raises:
        UserError: The settings, the key or the journal cannot be used.
    """
    if settings is None:
        yield None
        return
    with open_service_llm(
        settings, journal_uri=journal_uri, component=_COMPONENT.format(component), round=round
    ) as service:
        yield Embedder(service, settings)


def read_embedder(text: str | None) -> EmbedderSettings | None:
    """Read the embedding model from a component's JSON parameter; None for an empty one."""
    return EmbedderSettings.model_validate_json(text) if text else None


def usage_of(embedder: "Embedder | None") -> Usage:
    """Return what an embedding model used for this component's part of the round."""
    return embedder.usage() if embedder else Usage()


class Embedder:
    """Turns texts into vectors; those in the journal cost nothing again.

    Args:
        service: A client whose settings are `EmbedderSettings`.
        settings: These settings.
    """

    def __init__(self, service: ServiceLLM, settings: EmbedderSettings) -> None:
        self._service = service
        self._settings = settings

    def usage(self) -> Usage:
        """Return what these vectors used, over all interruptions."""
        return self._service.usage()

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return the texts' vectors: float32 array of shape `(texts, dimensions)`.

        Args:
            texts: Not empty, and none of them empty.

        Raises:
            ServiceLLMError: The service cannot be used, or has no vector for a text.
        """
        # Not sent: a part of the journal's key, since another size is another vector.
        size = f"{self._settings.dimensions or 'all'} dimensions"
        vectors: dict[str, npt.NDArray[np.float32]] = {}
        requests = (
            Request(prompt=text, schema=Embedding, system=size, temperature=0.0, tag=text)
            for text in dict.fromkeys(texts)
        )
        for result in self._service.map(requests):
            text = result.request.tag
            if not isinstance(result.value, Embedding):
                why = ": ".join(filter(None, (result.error, result.raw[:200])))
                raise ServiceLLMError(
                    f"{self._settings.model!r} returned no vector ({why}) for the text"
                    f" {text[:60]!r}. Choose another embedding model, or do without one."
                )
            vectors[text] = result.value.values()
        sizes = {len(vector) for vector in vectors.values()}
        if len(sizes) != 1:
            raise ServiceLLMError(
                f"{self._settings.model!r} returned vectors of {sorted(sizes)} numbers. Set"
                " `dimensions`, or choose another embedding model."
            )
        return np.stack([vectors[text] for text in texts])
