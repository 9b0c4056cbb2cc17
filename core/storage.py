"""Reads and writes small text files by URI: local paths, and whatever TFX's file systems know.

TFX is imported for other URIs only, so that what reads local files starts without it.
"""

from pathlib import Path
from typing import Any

from core.errors import UserError

_REMEDY = "Check the path, and that the run which wrote it finished."


def exists(uri: str) -> bool:
    """Return whether there is a file or folder."""
    return bool(_fileio().exists(uri)) if _is_remote(uri) else Path(uri).exists()


def read_text(uri: str, remedy: str = _REMEDY) -> str:
    """Read a file in UTF-8.

    Args:
        uri: A local path, or a URI such as `gs://bucket/name`.
        remedy: What to do where it cannot be read, as a sentence.

    Raises:
        UserError: It is missing, cannot be read, or is not UTF-8.
    """
    try:
        return _read(uri).decode("utf-8")
    except UnicodeDecodeError as error:
        reason = f"byte {error.start + 1} is not UTF-8"
        raise UserError(f"{uri!r} cannot be read: {reason}. {remedy}") from error
    except FileNotFoundError as error:
        raise UserError(f"There is no file {uri!r}. {remedy}") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UserError(f"{uri!r} cannot be read: {reason}. {remedy}") from error


def write_text(uri: str, text: str) -> None:
    """Write a file in UTF-8, with line feeds as they are; folders above it are made.

    Args:
        uri: A local path, or a URI such as `gs://bucket/name`.
        text: What the file will hold.
    """
    content = text.encode()
    if not _is_remote(uri):
        Path(uri).parent.mkdir(parents=True, exist_ok=True)
        Path(uri).write_bytes(content)
        return
    fileio = _fileio()
    fileio.makedirs(uri.rpartition("/")[0])
    with fileio.open(uri, "wb") as file:
        file.write(content)


def _read(uri: str) -> bytes:
    if not _is_remote(uri):
        return Path(uri).read_bytes()
    fileio = _fileio()
    if not fileio.exists(uri):
        raise FileNotFoundError(uri)  # reading would raise an error of TensorFlow's
    with fileio.open(uri, "rb") as file:
        content: bytes = file.read()
    return content


def _is_remote(uri: str) -> bool:
    return "://" in uri


def _fileio() -> Any:
    from tfx.dsl.io import fileio

    return fileio
