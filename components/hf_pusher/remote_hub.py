"""The Hugging Face Hub, or a server that speaks its protocol, through the hub's own client."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

from components.hf_pusher.errors import NameTakenError, PushError
from components.hf_pusher.explain import explain
from components.hf_pusher.hub import REPO_FOLDERS, Commit, Content, git_blob_sha1
from core.artifact_files import CARD, MARKER
from core.reports.loop import RepoKind

# What the Hub itself puts into a new repository; it may stay, and does not make one foreign.
_HUB_FILES = frozenset({".gitattributes", CARD})


class RemoteHub:
    """Repositories on a Hub; large files go the way its client chooses (Xet or LFS)."""

    is_local = False

    def __init__(self, token: str, endpoint: str | None = None) -> None:
        self._api = HfApi(endpoint=endpoint, token=token, library_name="understudy")
        self._token = token

    def owner(self) -> str:
        """See `Hub`."""
        with self._explained("the account of the token"):
            return str(self._api.whoami()["name"])

    def url(self, kind: RepoKind, repo_id: str) -> str:
        """See `Hub`."""
        folder = "" if kind == "model" else f"{REPO_FOLDERS[kind]}/"
        return f"{self._api.endpoint}/{folder}{repo_id}"

    def push(self, content: Content, *, message: str, tag: str, private: bool) -> Commit:
        """See `Hub`."""
        with self._explained(f"the {content.kind} repository {content.repo_id!r}", content.kind):
            self._api.create_repo(
                content.repo_id,
                repo_type=content.kind,
                private=private,
                exist_ok=True,
                space_sdk="gradio" if content.kind == "space" else None,
            )
            commit = self._commit(content, message)
            self._api.create_tag(
                content.repo_id,
                tag=tag,
                tag_message=message,
                revision=commit.oid,
                repo_type=content.kind,
                exist_ok=True,
            )
        return commit

    def _commit(self, content: Content, message: str) -> Commit:
        # The union of all kinds of repository includes one without files.
        info: Any = self._api.repo_info(
            content.repo_id, repo_type=content.kind, files_metadata=True
        )
        remote = {file.rfilename: file for file in info.siblings or ()}
        # A repository with the marker was pushed by a pipeline and may be overwritten by one.
        if MARKER not in remote and (foreign := sorted(remote.keys() - _HUB_FILES)):
            raise NameTakenError(
                f"The {content.kind} repository {content.repo_id!r} exists and contains "
                f"{foreign[0]!r}, which was not written by a push. Nothing was changed in it. "
                "Choose another name with push.name=NAME or another owner with push.owner=OWNER."
            )
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            CommitOperationDelete(path_in_repo=path, is_folder=False)
            for path in sorted(remote.keys() - content.files.keys() - {".gitattributes"})
        ]
        operations.extend(
            CommitOperationAdd(path_in_repo=path, path_or_fileobj=source)
            for path, source in sorted(content.files.items())
            if not _is_equal(source, content.hashes[path], remote.get(path))
        )
        if not operations:
            return Commit(str(info.sha), created=False)
        commit = self._api.create_commit(
            content.repo_id,
            operations,
            commit_message=message,
            repo_type=content.kind,
            parent_commit=info.sha,
        )
        return Commit(str(commit.oid), created=True)

    @contextlib.contextmanager
    def _explained(self, subject: str, kind: RepoKind | None = None) -> Iterator[None]:
        try:
            yield
        except PushError:
            raise
        except Exception as error:
            # The cause is dropped: its request carries the token in a header.
            raise explain(error, subject, self._api.endpoint, self._token, kind) from None


def _is_equal(source: Path | bytes, sha256: str, remote: Any) -> bool:
    if remote is None:
        return False
    if remote.lfs is not None:
        return bool(remote.lfs.sha256 == sha256)
    return bool(remote.blob_id == git_blob_sha1(source))
