"""Small files of the pipeline root, through Google's storage client."""

import functools
from typing import Any, NamedTuple

from core.bucket_uri import GCS, split_uri
from core.errors import UserError

NEW = 0
"""The generation of a file that does not exist."""


class ChangedError(Exception):
    """A file was written by somebody else since it was read."""


class Content(NamedTuple):
    """What a file holds, and Cloud Storage's number of this version of it."""

    data: bytes
    generation: int


class Bucket:
    """Reads and writes files by their `gs://` URIs.

    Args:
        credentials: Google credentials; None for the application's default.
    """

    def __init__(self, credentials: Any = None) -> None:
        self._credentials = credentials

    @functools.cached_property
    def _client(self) -> Any:
        from google.cloud import storage

        # Objects need no project, and the user's default one may be another.
        return storage.Client(project=None, credentials=self._credentials)

    def check(self, uri: str) -> None:
        """Look into a folder; an error says that its bucket is missing or closed."""
        bucket, name = _parts(uri)
        next(iter(self._client.list_blobs(bucket, prefix=name, max_results=1)), None)

    def read(self, uri: str) -> Content | None:
        """Read a file; return None where there is none, raise where there is no bucket."""
        from google.api_core.exceptions import NotFound

        blob = self._blob(uri)
        try:
            data = blob.download_as_bytes()
        except NotFound:
            self.check(uri)
            return None
        return Content(data, int(blob.generation or NEW))

    def write(self, uri: str, data: bytes, *, generation: int | None = None) -> int:
        """Write a file whole.

        Args:
            uri: Where.
            data: What.
            generation: Write only over this version (`NEW`: only a file that does not exist yet);
                None writes over any.

        Returns:
            The generation of what was written.

        Raises:
            ChangedError: There is another version.
        """
        from google.api_core.exceptions import PreconditionFailed

        blob = self._blob(uri)
        try:
            blob.upload_from_string(data, if_generation_match=generation)
        except PreconditionFailed as error:
            raise ChangedError(uri) from error
        return int(blob.generation or NEW)

    def _blob(self, uri: str) -> Any:
        bucket, name = _parts(uri)
        return self._client.bucket(bucket).blob(name)


def _parts(uri: str) -> tuple[str, str]:
    bucket, name = split_uri(uri)
    if not uri.startswith(GCS) or not bucket:
        raise UserError(f"{uri!r} is not in a bucket. Give a URI such as gs://bucket/folder.")
    return bucket, name
