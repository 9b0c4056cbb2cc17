"""A journal's lines as objects of a Google Cloud Storage bucket, mirrored in a temporary folder."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from google.api_core.exceptions import NotFound, PreconditionFailed
from google.cloud import storage

from core.bucket_uri import split_uri
from service_llm.cloud_storage import explained_errors, open_storage
from service_llm.journal.segments import SUFFIX, FolderSegments, new_name

_DOWNLOADS = 8  # at once: a journal of many small objects is read at every start


class BucketSegments:
    """Segments of a journal; see `Segments`.

    Raises:
        UserError: The bucket does not exist, or may not be used; every method may raise it.
        OutageError: Cloud Storage does not answer now; so may this.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        bucket, prefix = split_uri(uri)
        with self._explained():
            self._bucket = open_storage().bucket(bucket)
        self._prefix = f"{prefix.rstrip('/')}/" if prefix else ""
        self._mirror = Path(tempfile.mkdtemp(prefix="journal-"))
        self._local = FolderSegments(self._mirror / "new")

    def paths(self) -> Iterator[Path]:
        """Local copies of the bucket's objects."""
        with self._explained(), ThreadPoolExecutor(_DOWNLOADS) as pool:
            blobs = (blob for blob in self._blobs() if blob.name.endswith(SUFFIX))
            yield from pool.map(self._download, blobs)

    def append(self, data: bytes) -> tuple[Path, int]:
        """Upload the lines as a new object, then keep a local copy to read from."""
        blob = self._bucket.blob(f"{self._prefix}{new_name()}")
        # Nobody else knows the name: where it exists, an upload's answer was lost on its way.
        with self._explained(), contextlib.suppress(PreconditionFailed):
            blob.upload_from_string(data, if_generation_match=0)
        return self._local.append(data)

    def create_once(self, name: str, data: bytes) -> bytes:
        """Upload an object unless it exists."""
        blob = self._bucket.blob(f"{self._prefix}{name}")
        with self._explained():
            try:
                blob.upload_from_string(data, if_generation_match=0)
            except PreconditionFailed:
                return blob.download_as_bytes()
        return data

    def read(self, name: str) -> bytes | None:
        """Return what an object holds."""
        with self._explained():
            try:
                return self._bucket.blob(f"{self._prefix}{name}").download_as_bytes()
            except NotFound:
                return None

    def names(self, suffix: str) -> list[str]:
        """Return the objects with a suffix."""
        with self._explained():
            names = [blob.name for blob in self._blobs()]
        return sorted(n.removeprefix(self._prefix) for n in names if n.endswith(suffix))

    def close(self) -> None:
        """Remove the local copies."""
        self._local.close()
        shutil.rmtree(self._mirror, ignore_errors=True)

    def _blobs(self) -> Iterator[storage.Blob]:
        return iter(self._bucket.list_blobs(prefix=self._prefix))

    def _download(self, blob: storage.Blob) -> Path:
        path = self._mirror / Path(blob.name).name
        blob.download_to_filename(str(path))
        return path

    def _explained(self) -> contextlib.AbstractContextManager[None]:
        return explained_errors(f"The journal at {self._uri}")
