"""A request and a response, as HTTP carries them."""

from collections.abc import Mapping
from typing import NamedTuple

from standin.errors import Body


class Call(NamedTuple):
    """An HTTP request.

    Attributes:
        method: `GET`, `POST` or `DELETE`.
        path: Without the query.
        headers: With lower-case names.
        raw: The body.
        query: Of the path, without the question mark.
    """

    method: str
    path: str
    headers: Mapping[str, str] = {}
    raw: bytes = b""
    query: str = ""


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
