"""Where a journal's lines lie: in files of a local folder, or in objects of a `gs://` bucket.

A process only ever adds files of its own, so a line that was cut off by a kill harms no other.
"""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from components.errors import UserError

_SUFFIX = ".jsonl"
_GCS = "gs://"


class Segments(Protocol):
    """The files of a journal."""

    def paths(self) -> Iterator[Path]:
        """Local paths of what was written before."""
        ...

    def append(self, data: bytes) -> tuple[Path, int]:
        """Write lines; when this returns they outlive the process and the machine's power.

        Returns:
            A local file with the lines, and the offset at which they begin.
        """
        ...

    def create_once(self, name: str, data: bytes) -> bytes:
        """Write a file unless it exists; returns what it holds."""
        ...

    def read(self, name: str) -> bytes | None:
        """What a file of `create_once` holds; None where there is none."""
        ...

    def names(self, suffix: str) -> list[str]:
        """The files of `create_once` whose names end in `suffix`, sorted."""
        ...

    def close(self) -> None:
        """Close files and connections."""
        ...


def open_segments(uri: str) -> Segments:
    """The segments of a journal at a folder or `gs://` URI."""
    if uri.startswith(_GCS):
        return BucketSegments(uri)
    if "://" in uri:
        raise UserError(
            f"The journal cannot be kept at {uri!r}. Use a local folder or a gs:// URI."
        )
    return FolderSegments(Path(uri))


class FolderSegments:
    """Segments in a local folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: Any = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"The journal's folder {str(folder)!r} cannot be made: {error.strerror}. "
                "Choose another output folder."
            ) from error

    def paths(self) -> Iterator[Path]:
        """Local paths of what was written before."""
        yield from sorted(self._folder.glob(f"*{_SUFFIX}"))

    def append(self, data: bytes) -> tuple[Path, int]:
        """Write lines and wait for the disk."""
        if self._file is None:
            self._file = (self._folder / f"{uuid.uuid4().hex}{_SUFFIX}").open("ab")
        offset = self._file.tell()
        self._file.write(data)
        self._file.flush()
        os.fdatasync(self._file.fileno())
        return Path(self._file.name), offset

    def create_once(self, name: str, data: bytes) -> bytes:
        """Write a file unless it exists; linking it into place is atomic."""
        path = self._folder / name
        if not path.exists():
            fresh = self._folder / f".{uuid.uuid4().hex}"
            fresh.write_bytes(data)
            try:
                os.link(fresh, path)
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        return path.read_bytes()

    def read(self, name: str) -> bytes | None:
        """What a file holds."""
        path = self._folder / name
        return path.read_bytes() if path.exists() else None

    def names(self, suffix: str) -> list[str]:
        """The files with a suffix."""
        return sorted(path.name for path in self._folder.glob(f"*{suffix}"))

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


class BucketSegments:
    """Segments as objects of a Google Cloud Storage bucket, mirrored in a temporary folder."""

    def __init__(self, uri: str) -> None:
        from google.cloud import storage

        bucket, _, prefix = uri.removeprefix(_GCS).partition("/")
        self._bucket = storage.Client().bucket(bucket)
        self._prefix = f"{prefix.rstrip('/')}/" if prefix else ""
        self._mirror = Path(tempfile.mkdtemp(prefix="journal-"))
        self._local = FolderSegments(self._mirror / "new")

    def paths(self) -> Iterator[Path]:
        """Local copies of the bucket's objects, fetched one by one."""
        for blob in self._bucket.list_blobs(prefix=self._prefix):
            if blob.name.endswith(_SUFFIX):
                path = self._mirror / Path(blob.name).name
                blob.download_to_filename(str(path))
                yield path

    def append(self, data: bytes) -> tuple[Path, int]:
        """Upload the lines as a new object, then keep a local copy to read from."""
        blob = self._bucket.blob(f"{self._prefix}{uuid.uuid4().hex}{_SUFFIX}")
        blob.upload_from_string(data, if_generation_match=0)
        return self._local.append(data)

    def create_once(self, name: str, data: bytes) -> bytes:
        """Upload an object unless it exists."""
        from google.api_core.exceptions import PreconditionFailed

        blob = self._bucket.blob(f"{self._prefix}{name}")
        try:
            blob.upload_from_string(data, if_generation_match=0)
        except PreconditionFailed:
            return blob.download_as_bytes()
        return data

    def read(self, name: str) -> bytes | None:
        """What an object holds."""
        from google.api_core.exceptions import NotFound

        try:
            return self._bucket.blob(f"{self._prefix}{name}").download_as_bytes()
        except NotFound:
            return None

    def names(self, suffix: str) -> list[str]:
        """The objects with a suffix."""
        blobs = self._bucket.list_blobs(prefix=self._prefix)
        return sorted(
            blob.name.removeprefix(self._prefix) for blob in blobs if blob.name.endswith(suffix)
        )

    def close(self) -> None:
        """Remove the local copies."""
        self._local.close()
        shutil.rmtree(self._mirror, ignore_errors=True)
