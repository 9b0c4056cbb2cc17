"""Checkpoints of a training, from which a run that was killed resumes."""

import dataclasses
import hashlib
import io
import json
import logging
import os
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from models.data import Array
from models.training.recorder import Record

_logger = logging.getLogger(__name__)
_RECORD = "record"


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A training between two steps.

    Attributes:
        record: What was recorded so far.
        arrays: The values of groups of variables, in the variables' order.
    """

    record: Record
    arrays: dict[str, list[Array]]


class TrainingCheckpoints:
    """Keeps the last checkpoint of one training in a file that is named by what it trains.

    Args:
        folder: Local folder or `gs://` URI, outside the artifacts: TFX gives an execution that is
            run again a new place for its outputs.
        identity: Everything that the training depends on; another training never finds it.
    """

    def __init__(self, folder: str, identity: Sequence[object]) -> None:
        digest = hashlib.sha256(repr(identity).encode()).hexdigest()[:24]
        self._path = os.path.join(folder, f"{digest}.npz")

    def load(self) -> Checkpoint | None:
        """Return the last checkpoint; None where there is none that can be read."""
        if not tf.io.gfile.exists(self._path):
            return None
        try:
            with tf.io.gfile.GFile(self._path, "rb") as file:
                stored = dict(np.load(io.BytesIO(file.read()), allow_pickle=False))
            record = json.loads(str(stored.pop(_RECORD)))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            _logger.warning("The checkpoint %s is not used: it is damaged (%s)", self._path, error)
            return None
        arrays: dict[str, list[Array]] = {}
        for name in sorted(stored):
            arrays.setdefault(name.split("/")[0], []).append(stored[name])
        return Checkpoint(record, arrays)

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the last checkpoint in one move."""
        stored: dict[str, Any] = {  # arrays; numpy's types take any name for an option of savez
            f"{group}/{number:06d}": array
            for group, arrays in checkpoint.arrays.items()
            for number, array in enumerate(arrays)
        }
        stored[_RECORD] = np.array(json.dumps(checkpoint.record))
        buffer = io.BytesIO()
        np.savez(buffer, **stored)
        tf.io.gfile.makedirs(os.path.dirname(self._path))
        with tf.io.gfile.GFile(f"{self._path}.tmp", "wb") as file:
            file.write(buffer.getvalue())
        tf.io.gfile.rename(f"{self._path}.tmp", self._path, overwrite=True)

    def clear(self) -> None:
        """Remove the checkpoint of a training that is done."""
        if tf.io.gfile.exists(self._path):
            tf.io.gfile.remove(self._path)
