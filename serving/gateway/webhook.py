"""Posts the changes of alarms to a webhook; says and counts those that it does not take."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import yarl

from core.terminal import write_error
from serving.gateway.upstream import proxy_for

_QUEUE = 256  # changes that wait; further ones are only printed
_SECONDS = 10.0  # for one post
_ATTEMPTS = 3
_RETRY_SECONDS = 1.0  # doubled
_SEE_OTHER = 303
# Google Apps Script has run the script when it redirects to where its text can be fetched:
# https://developers.google.com/apps-script/guides/content#redirects
_FOUND, _APPS_SCRIPT_ANSWERS = 302, "script.googleusercontent.com"
_ASKS_FOR_ANOTHER = (408, 429)  # try, like all errors of the server's own


class Webhook:
    """The webhook of `serving.alert_url`.

    Args:
        url: Where to; a secret with many providers, so it is never printed.
        session: The HTTP client.
        on_dropped: Called for every change that was not delivered.
    """

    def __init__(
        self,
        url: str,
        session: Callable[[], aiohttp.ClientSession],
        on_dropped: Callable[[], None],
    ) -> None:
        self._url = yarl.URL(url)
        self._session = session
        self._on_dropped = on_dropped
        self._queue: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue(_QUEUE)

    def put(self, change: Mapping[str, Any]) -> None:
        """Queue a change; return at once.

        Args:
            change: The `alarm`, its `state` and what else is posted.
        """
        try:
            self._queue.put_nowait(change)
        except asyncio.QueueFull:
            self._drop(change, f"{_QUEUE} changes wait already")

    async def post_forever(self) -> None:
        """Post the changes in their order."""
        while True:
            change = await self._queue.get()
            if problem := await self._post(change):
                self._drop(change, problem)

    async def _post(self, change: Mapping[str, Any]) -> str:
        """Post a change, and return why it was not delivered; empty where it was."""
        problem = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                await asyncio.sleep(_RETRY_SECONDS * 2 ** (attempt - 1))
            try:
                status, is_taken = await self._posted(change)
            except Exception as error:  # or nothing would be posted again; its text quotes the URL
                problem = f"it cannot be reached ({type(error).__name__})"
                continue
            if is_taken:
                return ""
            problem = f"it answered {status}"
            if status < 500 and status not in _ASKS_FOR_ANOTHER:
                break
        return problem

    async def _posted(self, change: Mapping[str, Any]) -> tuple[int, bool]:
        """Post a change, and return the status, and whether it says that the change was taken."""
        proxy = proxy_for(self._url.scheme, self._url.host or "")
        # A redirected POST becomes a GET without its body; see `_is_taken`.
        request = self._session().post(
            self._url, json=dict(change), proxy=proxy, allow_redirects=False
        )
        async with asyncio.timeout(_SECONDS), request as response:
            return response.status, _is_taken(response)

    def _drop(self, change: Mapping[str, Any], problem: str) -> None:
        write_error(
            f"understudy: serving.alert_url did not get alarm {change['alarm']} "
            f"{change['state']}: {problem}"
        )
        self._on_dropped()


def _is_taken(response: aiohttp.ClientResponse) -> bool:
    """Whether a webhook has taken what was posted; other redirects name another address for it."""
    if response.status == _FOUND:
        return yarl.URL(response.headers.get("Location", "")).host == _APPS_SCRIPT_ANSWERS
    return response.status < 300 or response.status == _SEE_OTHER
