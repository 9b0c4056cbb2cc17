"""What a push consists of, and the interface of its destinations `local_hub` and `remote_hub`."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from core.reports.loop import RepoKind

REPO_FOLDERS: dict[RepoKind, str] = {"model": "models", "dataset": "datasets", "space": "spaces"}

_CHUNK_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True)
class Content:
    """Everything that one repository holds after the push.

    Attributes:
        kind: What the repository is to the Hub.
        repo_id: `owner/name`.
        files: Path within the repository to the bytes, or to the local file that holds them.
    """

    kind: RepoKind
    repo_id: str
    files: Mapping[str, Path | bytes]

    @functools.cached_property
    def hashes(self) -> dict[str, str]:
        """Path to SHA-256 of the file, in hex."""
        return {path: sha256(source) for path, source in sorted(self.files.items())}

    @property
    def digest(self) -> str:
        """SHA-256 of all paths and files, in hex: equal exactly when the content is."""
        return hashlib.sha256(json.dumps(self.hashes, sort_keys=True).encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class Commit:
    """The commit that holds the content.

    Attributes:
        oid: Its 40 hex digits.
        created: False when the repository held this content already.
    """

    oid: str
    created: bool


class Hub(Protocol):
    """A place that keeps repositories.

    Attributes:
        is_local: Whether it is a folder of this machine.
    """

    is_local: bool

    def owner(self) -> str:
        """Return the user whom the token belongs to; `local` for a folder."""
        ...

    def url(self, kind: RepoKind, repo_id: str) -> str:
        """Return where a person finds the repository: a URL, or a folder."""
        ...

    def push(self, content: Content, *, message: str, tag: str, private: bool) -> Commit:
        """Make the repository's `main` hold exactly the content, in one commit, and tag it.

        Repeating a push changes nothing; repeating one that was interrupted completes it.

        Raises:
            PushError: See the subclasses.
        """
        ...


def sha256(source: Path | bytes) -> str:
    """Return the SHA-256 of bytes or of a file, in hex."""
    digest = hashlib.sha256()
    for chunk in _chunks(source):
        digest.update(chunk)
    return digest.hexdigest()


def git_blob_sha1(source: Path | bytes) -> str:
    """Return the object id that git gives to this content, in hex."""
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    digest = hashlib.sha1(b"blob %d\0" % size)
    for chunk in _chunks(source):
        digest.update(chunk)
    return digest.hexdigest()


def _chunks(source: Path | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
