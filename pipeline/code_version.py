"""A content hash of code, because TFX's cache does not notice that a component was edited."""

import functools
import hashlib
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
_GENERATED = {".pyc", ".pyo"}


@functools.cache
def code_version(*paths: str) -> str:
    """The first 12 hex digits of the SHA-256 over the files below some paths.

    Args:
        *paths: Files or folders, relative to the repository. Prompt texts and tables count as code.

    Returns:
        A string that changes when any file's name or content does.

    Raises:
        FileNotFoundError: A path does not exist.
    """
    digest = hashlib.sha256()
    for path in paths:
        root = REPOSITORY / path
        if not root.exists():
            raise FileNotFoundError(f"{path!r} is not in {REPOSITORY}.")
        files = [root] if root.is_file() else sorted(p for p in root.rglob("*") if p.is_file())
        for file in files:
            if file.suffix not in _GENERATED:
                content = hashlib.sha256(file.read_bytes()).hexdigest()
                digest.update(f"{file.relative_to(REPOSITORY)}\0{content}\n".encode())
    return digest.hexdigest()[:12]
