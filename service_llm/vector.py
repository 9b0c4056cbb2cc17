"""A vector as the journal keeps it."""

import base64
from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt
import pydantic


class Embedding(pydantic.BaseModel):
    """A vector as the journal keeps it: little-endian float32 in base64, a third of JSON's size."""

    vector: str

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Encode numbers."""
        return cls(vector=base64.b64encode(np.asarray(values, "<f4").tobytes()).decode())

    def values(self) -> npt.NDArray[np.float32]:
        """Decode the numbers: float32 array of shape `(dimensions,)`."""
        return np.frombuffer(base64.b64decode(self.vector), "<f4").astype(np.float32)
