"""A folder laid out as the Hub's repositories, for pushes without a token or a network."""

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from components.hf_pusher.errors import NameTakenError, PushError
from components.hf_pusher.hub import REPO_FOLDERS, Commit, Content
from core.claim import wait_for_file
from core.reports.loop import RepoKind

_COMMITS = "commits"
_SNAPSHOTS = "snapshots"
_BLOBS = "blobs"
_MAIN = "main"
_TEMPORARY_PREFIX = ".tmp-"


class LocalHub:
    """Repositories below a folder: `models/owner/name`, `datasets/owner/name`, `spaces/owner/name`.

    A repository holds `commits/<oid>.json`, `snapshots/<oid>/` with the files, `refs/main` and
    `tags/<tag>` with an oid each, and `main`, a link to the snapshot of `refs/main`. Equal files of
    several commits are stored once, in `blobs/`, and linked.
    """

    is_local = True

    def __init__(self, root: Path) -> None:
        self._root = root

    def owner(self) -> str:
        """See `Hub`."""
        return "local"

    def url(self, kind: RepoKind, repo_id: str) -> str:
        """See `Hub`."""
        return str(self._root.absolute() / REPO_FOLDERS[kind] / repo_id)

    def push(self, content: Content, *, message: str, tag: str, private: bool) -> Commit:
        """See `Hub`; `private` means nothing to a folder."""
        del private
        repository = Path(self.url(content.kind, content.repo_id))
        try:
            repository.mkdir(parents=True, exist_ok=True)
            with wait_for_file(repository / ".lock"):
                return _push(repository, content, message, tag)
        except OSError as error:
            raise PushError(
                f"The local hub cannot be written: {error}. Free some space or make the folder "
                "writable, or choose another one with push.local_hub_dir=FOLDER, and run again."
            ) from error


def _push(repository: Path, content: Content, message: str, tag: str) -> Commit:
    _refuse_foreign(repository)
    _remove_leftovers(repository)
    parent = _read_ref(repository / "refs" / _MAIN)
    if parent and _read_commit(repository, parent)["files"] == content.hashes:
        commit = Commit(parent, created=False)
    else:
        record = {"parent": parent, "message": message, "files": content.hashes}
        oid = hashlib.sha1(json.dumps(record, sort_keys=True).encode()).hexdigest()
        _write_snapshot(repository, content, oid)
        _write(repository / _COMMITS / f"{oid}.json", json.dumps(record, indent=2) + "\n")
        _write(repository / "refs" / _MAIN, oid + "\n")
        commit = Commit(oid, created=True)
    _link_main(repository, commit.oid)
    _write(repository / "tags" / tag, commit.oid + "\n")
    return commit


def _refuse_foreign(repository: Path) -> None:
    names = {entry.name for entry in repository.iterdir()} - {".lock"}
    known = {_COMMITS, _SNAPSHOTS, _BLOBS, _MAIN, "refs", "tags"}
    foreign = sorted(name for name in names - known if not name.startswith(_TEMPORARY_PREFIX))
    if foreign:
        raise NameTakenError(
            f"The folder {str(repository)!r} contains {foreign[0]!r}, which was not written by "
            "a push. "
            "Choose another name with push.name=NAME or another folder with "
            "push.local_hub_dir=FOLDER."
        )


def _remove_leftovers(repository: Path) -> None:
    for leftover in repository.glob(f"{_TEMPORARY_PREFIX}*"):
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()


def _write_snapshot(repository: Path, content: Content, oid: str) -> None:
    snapshot = repository / _SNAPSHOTS / oid
    if snapshot.exists():
        return
    temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY_PREFIX, dir=repository))
    temporary.chmod(0o755)  # mkdtemp makes it private, and the snapshot is for everyone
    for path, source in content.files.items():
        blob = _store(repository, source, content.hashes[path])
        target = temporary / path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(blob, target)
        except OSError:  # some network file systems have no hard links
            shutil.copyfile(blob, target)
    snapshot.parent.mkdir(exist_ok=True)
    temporary.rename(snapshot)


def _store(repository: Path, source: Path | bytes, digest: str) -> Path:
    blob = repository / _BLOBS / digest
    if not blob.exists():
        blob.parent.mkdir(exist_ok=True)
        temporary = repository / f"{_TEMPORARY_PREFIX}{digest}"
        if isinstance(source, bytes):
            temporary.write_bytes(source)
        else:
            shutil.copyfile(source, temporary)
        temporary.rename(blob)
    return blob


def _link_main(repository: Path, oid: str) -> None:
    temporary = repository / f"{_TEMPORARY_PREFIX}main"
    temporary.symlink_to(Path(_SNAPSHOTS) / oid, target_is_directory=True)
    temporary.replace(repository / _MAIN)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    temporary = path.parent.parent / f"{_TEMPORARY_PREFIX}{path.name}"
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _read_ref(path: Path) -> str | None:
    return path.read_text(encoding="utf-8").strip() if path.exists() else None


def _read_commit(repository: Path, oid: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((repository / _COMMITS / f"{oid}.json").read_text("utf-8"))
    return record
