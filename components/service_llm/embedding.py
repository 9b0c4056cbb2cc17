"""Vectors of texts, from a service: paced, journaled and counted like every other request."""

import base64
import contextlib
from collections.abc import Iterator, Sequence
from typing import Self

import numpy as np
import numpy.typing as npt
import pydantic

from components.service_llm.client import ServiceLLM, open_service_llm
from components.service_llm.errors import ServiceLLMError
from components.service_llm.settings import EmbedderSettings
from components.service_llm.types import Request, Usage

_COMPONENT = "{}, embeddings"  # usage is counted under this name


class Embedding(pydantic.BaseModel):
    """A vector as the journal keeps it: little-endian float32 in base64, a third of JSON's size."""

    vector: str

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """The embedding with these numbers."""
        return cls(vector=base64.b64encode(np.asarray(values, "<f4").tobytes()).decode())

    def values(self) -> npt.NDArray[np.float32]:
        """Its numbers: float32 array of shape `(dimensions,)`."""
        return np.frombuffer(base64.b64decode(self.vector), "<f4").astype(np.float32)


@contextlib.contextmanager
def open_embedder(
    settings: EmbedderSettings | None, *, journal_uri: str, component: str, round: int
) -> "Iterator[Embedder | None]":
    """An embedding model for one component's part of a round; None where none is configured.

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
    """The embedding model that a component's parameter holds as JSON; None for an empty one."""
    return EmbedderSettings.model_validate_json(text) if text else None


def usage_of(embedder: "Embedder | None") -> Usage:
    """What an embedding model used for this component's part of the round."""
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
        """What these vectors used, over all interruptions."""
        return self._service.usage()

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """The texts' vectors: float32 array of shape `(texts, dimensions)`.

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
                raise ServiceLLMError(
                    f"{self._settings.model!r} gave no vector ({result.error}) for the text"
                    f" {text[:60]!r}. Choose another embedding model, or do without one."
                )
            vectors[text] = result.value.values()
        sizes = {len(vector) for vector in vectors.values()}
        if len(sizes) != 1:
            raise ServiceLLMError(
                f"{self._settings.model!r} gave vectors of {sorted(sizes)} numbers. Set"
                " `dimensions`, or choose another embedding model."
            )
        return np.stack([vectors[text] for text in texts])
