"""Checksums of a trained model's files.

A damaged weight loads as well as a sound one and would only make the model worse.
"""

import hashlib
import os
from pathlib import Path

import tensorflow as tf

from core.artifact_files import CHECKSUMS
from core.errors import ModelError

_CHUNK_BYTES = 1 << 22


def write_checksums(folder: Path) -> None:
    """Write the SHA-256 of every file below a folder into it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{_sha256(str(p))}  {p.relative_to(folder).as_posix()}\n" for p in files]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def check_files(model_dir: str, *parts: str) -> None:
    """Raise unless files of a model are as they were written.

    Args:
        model_dir: Output of a Trainer, a local folder or `gs://` URI. Without checksums, as
            earlier versions wrote it, nothing is checked.
        *parts: Prefixes of the paths that are checked.

    Raises:
        ModelError: A file is missing or has changed.
    """
    try:
        with tf.io.gfile.GFile(os.path.join(model_dir, CHECKSUMS), "rb") as file:
            lines = file.read().decode("utf-8", "replace").splitlines()
    except tf.errors.NotFoundError:
        return
    for line in lines:
        checksum, _, path = line.partition("  ")
        if path.startswith(parts) and _sha256(os.path.join(model_dir, path)) != checksum:
            raise ModelError(
                f"The file {path!r} of the model at {model_dir} differs from what the Trainer "
                "wrote: it is damaged. Restore it from a copy. Or remove the folder "
                f"{os.path.dirname(model_dir)} and run the same command again: the model is "
                "trained again, and nothing is paid for again."
            )


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except tf.errors.NotFoundError:
        return "there is no such file"
    return digest.hexdigest()
