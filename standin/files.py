"""Files of the Gemini API, uploaded in resumable requests and kept in memory.

Reference:
    https://ai.google.dev/gemini-api/docs/files, https://ai.google.dev/api/files
"""

import itertools
import threading
from collections.abc import Mapping

from standin.errors import Body, HttpError, bad_request

_PROTOCOL = "x-goog-upload-protocol"
_COMMAND = "x-goog-upload-command"
_OFFSET = "x-goog-upload-offset"


class Files:
    """The files of one server; they are gone when it stops."""

    def __init__(self) -> None:
        self._contents: dict[str, bytes] = {}
        self._uploads: dict[str, bytes] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def start(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Begin an upload; returns the response's headers.

        Args:
            headers: Of the request, with lower-case names.

        Raises:
            HttpError: It is not the start of a resumable upload.
        """
        if (headers.get(_PROTOCOL), headers.get(_COMMAND)) != ("resumable", "start"):
            raise bad_request(
                "Only resumable uploads are served; send X-Goog-Upload-Command: start."
            )
        with self._lock:
            name = f"upload-{next(self._numbers)}"
            self._uploads[name] = b""
        url = f"http://{headers.get('host', '127.0.0.1')}/upload/v1beta/files/{name}"
        return {"X-Goog-Upload-URL": url, "X-Goog-Upload-Status": "active"}

    def upload(
        self, name: str, headers: Mapping[str, str], data: bytes
    ) -> tuple[dict[str, str], Body]:
        """Take a chunk; returns the response's headers and body.

        Raises:
            HttpError: There is no such upload, or the chunk does not continue it.
        """
        with self._lock:
            held = self._uploads.get(name)
            if held is None:
                raise HttpError(404, "NOT_FOUND", f"There is no upload {name!r}.")
            if int(headers.get(_OFFSET, "0")) != len(held):
                raise bad_request(f"The upload continues at {len(held)}.")
            held += data
            if "finalize" not in headers.get(_COMMAND, ""):
                self._uploads[name] = held
                return {"X-Goog-Upload-Status": "active"}, {}
            del self._uploads[name]
        file = self.create(held)
        body = {"file": {"name": file, "sizeBytes": str(len(held)), "state": "ACTIVE"}}
        return {"X-Goog-Upload-Status": "final"}, body

    def create(self, content: bytes) -> str:
        """Keep a file; returns its resource name."""
        with self._lock:
            name = f"files/file-{next(self._numbers)}"
            self._contents[name] = content
        return name

    def read(self, name: str) -> bytes:
        """Return what a file holds.

        Raises:
            HttpError: There is no such file.
        """
        content = self._contents.get(name)
        if content is None:
            raise HttpError(
                403,
                "PERMISSION_DENIED",
                f"You do not have permission to access the File {name} or it may not exist.",
            )
        return content
