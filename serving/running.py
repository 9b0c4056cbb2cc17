"""Talks to a gateway that runs on this machine: `serve reload`, `serve mode`, `cutover`."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from core.errors import UserError
from serving.address import url_of

_SECONDS = 30.0


class RefusedError(UserError):
    """The gateway does not do what it was asked; its own words."""


class RunningGateway:
    """A gateway on a port of this machine.

    Args:
        port: Its port.
        key_env: Environment variable with its own key; None where it has none.
        host: Address that it listens on, `serving.host`.
    """

    def __init__(self, port: int, key_env: str | None = None, host: str = "127.0.0.1") -> None:
        self._port = port
        self._base_url = url_of(host, port)
        key = os.environ.get(key_env, "").strip() if key_env else ""
        self._headers = {"x-understudy-key": key} if key else {}

    def status(self) -> dict[str, Any]:
        """Return what `/understudy/status` says.

        Raises:
            UserError: No gateway answers.
        """
        return self._ask(urllib.request.Request(self._url("status"), headers=self._headers))

    def post(
        self, name: str, values: Mapping[str, object], timeout_seconds: float = _SECONDS
    ) -> dict[str, Any]:
        """Ask for something.

        Args:
            name: The last part of the path.
            values: The body.
            timeout_seconds: For the answer.

        Raises:
            RefusedError: The gateway does not do it.
            UserError: No gateway answers.
        """
        headers = {"Content-Type": "application/json", **self._headers}
        body = json.dumps(values).encode()
        return self._ask(urllib.request.Request(self._url(name), body, headers), timeout_seconds)

    def _url(self, name: str) -> str:
        return f"{self._base_url}/understudy/{name}"

    def _ask(self, request: urllib.request.Request, seconds: float = _SECONDS) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(request, timeout=seconds) as reply:
                values: dict[str, Any] = json.load(reply)
                return values
        except urllib.error.HTTPError as error:
            raise RefusedError(_message(error.read().decode("utf-8", "replace"))) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)  # urllib wraps what the system says
            raise UserError(
                f"No gateway answers on port {self._port}, at {self._base_url} ({reason}). Start "
                "it with `understudy serve`, or name its port with --port."
            ) from None


def _message(text: str) -> str:
    """Return the message in a body of the gateway, or the body."""
    try:
        error = json.loads(text)["error"]
        return str(error["message"]) if isinstance(error, dict) else str(error)
    except (ValueError, KeyError, TypeError):
        return text
