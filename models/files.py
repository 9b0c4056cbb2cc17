"""Folders that appear whole or not at all, and local copies of remote ones."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def publish_folder(target: Path) -> Iterator[Path]:
    """Make a temporary folder that becomes `target` when the block ends without an error.

    A kill leaves no half-written `target`. Of two processes that make the same folder, the first
    one wins and the second one's work is dropped.

    Yields:
        The folder to write into, on the same file system as `target`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    folder.chmod(0o755)
    try:
        yield folder
        try:
            os.rename(folder, target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def local_copy(uri: str) -> Iterator[str]:
    """Copy a file or folder of any file system that TensorFlow knows; a local one is not copied.

    Yields:
        A local path with the same name; a copy is removed afterwards.
    """
    if "://" not in uri:
        yield uri
        return
    import tensorflow as tf

    uri = uri.rstrip("/")
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, os.path.basename(uri))
        if not tf.io.gfile.isdir(uri):
            tf.io.gfile.copy(uri, copy)
        else:
            for parent, _, names in tf.io.gfile.walk(uri):
                target = os.path.join(copy, os.path.relpath(parent, uri))
                os.makedirs(target, exist_ok=True)
                for name in names:
                    tf.io.gfile.copy(os.path.join(parent, name), os.path.join(target, name))
        yield copy


def copy_folder(folder: Path, destination: str) -> None:
    """Copy what is in a local folder to a folder of any file system that TensorFlow knows."""
    import tensorflow as tf

    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        target = os.path.join(destination, str(file.relative_to(folder)))
        tf.io.gfile.makedirs(os.path.dirname(target))
        tf.io.gfile.copy(str(file), target, overwrite=True)
