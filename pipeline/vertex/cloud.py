"""Connects to Google Cloud on first use."""

import functools
from typing import Any

from pipeline.vertex.bucket import Bucket
from pipeline.vertex.client import Jobs
from pipeline.vertex.settings import VertexSettings

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class Cloud:
    """The services that the commands talk to.

    Args:
        credentials: Google credentials; None for the application's default.
        endpoint: Another URL of Vertex AI, which is then asked over REST.
    """

    def __init__(self, credentials: Any = None, endpoint: str | None = None) -> None:
        self._given_credentials = credentials
        self._endpoint = endpoint

    @functools.cached_property
    def bucket(self) -> Bucket:
        """Reads and writes the pipeline root."""
        return Bucket(self._credentials)

    @functools.cached_property
    def session(self) -> Any:
        """A `requests` session that signs in with the credentials."""
        from google.auth.transport.requests import AuthorizedSession

        return AuthorizedSession(self._credentials)  # type: ignore[no-untyped-call]

    def jobs(self, vertex: VertexSettings) -> Jobs:
        """Return the client that submits and finds jobs."""
        return Jobs(vertex, credentials=self._credentials, endpoint=self._endpoint)

    @functools.cached_property
    def _credentials(self) -> Any:
        import google.auth

        return self._given_credentials or google.auth.default(scopes=[_SCOPE])[0]
