"""A request and a response, as HTTP carries them."""

from collections.abc import Mapping
from typing import NamedTuple

from standin.errors import Body


class Call(NamedTuple):
    """An HTTP request.

    Attributes:
        method: `GET` or `POST`.
        path: Without the query.
        headers: With lower-case names.
        raw: The body.
    """

    method: str
    path: str
    headers: Mapping[str, str] = {}
    raw: bytes = b""


class Answer(NamedTuple):
    """An HTTP response.

    Attributes:
        code: HTTP status.
        body: What is sent as JSON, or bytes as they are.
        headers: Further headers.
    """

    code: int
    body: Body | bytes
    headers: Mapping[str, str] = {}
