"""Reads small text files, wherever they are."""

from pathlib import Path


def read_text(uri: str) -> str:
    """The text of a file in UTF-8.

    Args:
        uri: A local path, or a URI that TFX's file systems know.

    Raises:
        OSError: It cannot be read.
        UnicodeDecodeError: It is not UTF-8.
    """
    if "://" not in uri:
        return Path(uri).read_text(encoding="utf-8")
    # Local runs read local files only and are spared TFX's file systems.
    from tfx.dsl.io import fileio

    with fileio.open(uri, "rb") as file:
        content: bytes = file.read()
    return content.decode("utf-8")
