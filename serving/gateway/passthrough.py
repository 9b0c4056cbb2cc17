"""Passes requests through: all that are not for an answer, and answers that nobody replaces."""

from collections.abc import Callable, Sequence
from typing import Any

import aiohttp
import yarl

from serving.gateway import faults
from serving.gateway.client_side import Client, Header
from serving.gateway.faults import Failure
from serving.gateway.personal_data import (
    MAX_SEARCHED,
    UnreadableBodyError,
    holds_personal_data,
)
from serving.gateway.service_call import Request, send
from serving.gateway.task import ServedTask
from serving.gateway.upstream import (
    CONNECTION_ERRORS,
    Upstream,
    has_body,
    request_headers,
    response_headers,
)

_SHORT_BODY = 64 * 1024  # bytes


class StaysHereError(Exception):
    """A request must not go to the service; the message says why."""


class NoAnswerError(Exception):
    """The service gave no response.

    Attributes:
        failure: Why.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


def is_openai_client(client: Client) -> bool:
    """Whether a client speaks OpenAI's protocol where its path alone does not tell."""
    return not (
        client.header(b"x-goog-api-key")
        or client.header(b"x-goog-api-client")
        or b"key=" in client.query
    )


def url_for(client: Client, upstream: Upstream) -> yarl.URL:
    """Return where a client's request goes."""
    is_openais = is_openai_client(client)
    return upstream.url(client.raw_path, client.query, is_openai_client=is_openais)


def request_for(client: Client, url: yarl.URL, body: Any) -> Request:
    """Return what goes on to the service for a client's request."""
    return Request(client.method, url, request_headers(client.headers), body)


async def open_response(session: aiohttp.ClientSession, request: Request) -> aiohttp.ClientResponse:
    """Send a request, and wait for the headers of its response.

    Raises:
        NoAnswerError: There was no response.
    """
    try:
        return await send(session, request)
    except CONNECTION_ERRORS as error:
        raise NoAnswerError(faults.of_exception(error)) from None


async def send_on(
    client: Client,
    response: aiohttp.ClientResponse,
    extra: Sequence[Header],
    hear: Callable[[bytes], None] = lambda part: None,
) -> bool:
    """Pass a response on as it comes.

    Args:
        client: Who gets it.
        response: The response.
        extra: Headers that are added.
        hear: Called with every part.

    Returns:
        Whether it was complete. Where it was not the client's answer is left incomplete, too, so
        that the server closes the connection.
    """
    async with response:
        await client.begin(response.status, [*response_headers(response), *extra])
        try:
            async for part in response.content.iter_any():
                hear(part)
                await client.send_part(part)
        except CONNECTION_ERRORS:
            return False
        await client.end()
        return True


async def body_of(client: Client) -> Any:
    """Return a short body in one piece, which costs less, and an iterator otherwise."""
    if not has_body(client.headers):
        client.skip_body()
        return None
    beginning, is_all = await client.read(_SHORT_BODY)
    return beginning if is_all else client.continued(beginning)


async def searched_body_of(client: Client, tasks: Sequence[ServedTask]) -> Any:
    """Return the body of a request without personal data; see `holds_personal_data`.

    Raises:
        StaysHereError: It holds some, or nobody can say.
    """
    is_bare = not has_body(client.headers)
    if is_bare:
        client.skip_body()
    body, is_all = await client.read(MAX_SEARCHED)
    if not is_all:
        raise StaysHereError("it is too large to be searched for personal data")
    try:
        if await holds_personal_data(client, body, tasks):
            raise StaysHereError("it holds personal data")
    except UnreadableBodyError:
        raise StaysHereError("it cannot be searched for personal data") from None
    return None if is_bare else body


async def pass_through(
    client: Client,
    session: aiohttp.ClientSession,
    upstream: Upstream,
    extra: Sequence[Header],
    body: Any,
) -> None:
    """Pass a request and its response through, both as they come.

    Args:
        client: Who asks.
        session: The HTTP client.
        upstream: The service.
        extra: Headers that are added to the response.
        body: Of the request; see `body_of`.

    Raises:
        NoAnswerError: There was no response.
    """
    with client.watched():
        response = await open_response(
            session, request_for(client, url_for(client, upstream), body)
        )
        await send_on(client, response, extra)
