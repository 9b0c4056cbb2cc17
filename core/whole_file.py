"""Writes a file as a whole, for what must survive a crash at any moment."""

import os
from pathlib import Path


def replace_file(path: Path, text: str) -> Path:
    """Write a file so that a reader, or a crash, meets the old text or the new one, whole.

    Args:
        path: The file; its folder is created.
        text: What it contains from now on.

    Returns:
        The path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("w", encoding="utf-8", newline="") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    return temporary.replace(path)


def name_once(written: Path, path: Path) -> None:
    """Give a written file its name, unless another file has it; the first one stays."""
    try:
        os.link(written, path)
    except FileExistsError:
        pass
    except OSError:  # some network file systems have no hard links
        if not path.exists():
            written.replace(path)
