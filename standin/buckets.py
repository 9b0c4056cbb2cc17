"""Objects of Cloud Storage, kept in memory: what batch jobs of Vertex AI read and write.

Reference: https://cloud.google.com/storage/docs/json_api/v1/objects
"""

import json
import threading
import urllib.parse

from standin.calls import Call
from standin.errors import Body, HttpError, bad_request

_GCS = "gs://"


class Buckets:
    """The objects of one server, by their URI; they are gone when it stops."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def upload(self, bucket: str, call: Call) -> Body:
        """Keep the object of a multipart upload, and return its metadata.

        Raises:
            HttpError: It is another kind of upload.
        """
        boundary = call.headers.get("content-type", "").partition("boundary=")[2].strip('"')
        parts = call.raw.split(f"--{boundary}".encode()) if boundary else []
        if len(parts) != 4:  # before, metadata, content, after
            raise bad_request("Only multipart uploads are served.")
        metadata, content = (
            part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts[1:3]
        )
        name = json.loads(metadata)["name"]
        self.write(f"{_GCS}{bucket}/{name}", content)
        return {"bucket": bucket, "name": name, "generation": "1", "size": str(len(content))}

    def listed(self, bucket: str, query: str) -> Body:
        """Return the objects of a bucket whose names begin with the `prefix` of a query."""
        prefix = urllib.parse.parse_qs(query).get("prefix", [""])[0]
        root = f"{_GCS}{bucket}/"
        with self._lock:
            names = sorted(uri.removeprefix(root) for uri in self._objects if uri.startswith(root))
        found = [name for name in names if name.startswith(prefix)]
        return {"items": [{"bucket": bucket, "name": n, "generation": "1"} for n in found]}

    def read(self, uri: str) -> bytes:
        """Return what an object holds.

        Raises:
            HttpError: There is no such object.
        """
        with self._lock:
            content = self._objects.get(uri)
        if content is None:
            raise HttpError(404, "NOT_FOUND", f"No such object: {uri.removeprefix(_GCS)}")
        return content

    def delete(self, uri: str) -> Body:
        """Remove an object; returns what the response holds.

        Raises:
            HttpError: There is no such object.
        """
        self.read(uri)
        with self._lock:
            self._objects.pop(uri, None)
        return {}

    def write(self, uri: str, content: bytes) -> None:
        """Keep an object."""
        with self._lock:
            self._objects[uri] = content
