"""Talks to a gateway that runs on this machine: `serve reload`, `serve mode`, `cutover`."""

import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, Self

from core.errors import UserError
from serving.address import open_directly, url_of
from serving.settings import ServingSettings

_SECONDS = 30.0
_FAILED = frozenset({500, 502, 504})  # its own fault, or what a proxy before it says
_UNAVAILABLE = 503  # to a POST, the gateway's own word: the model does not answer
_LONGEST_MESSAGE = 300


class RefusedError(UserError):
    """The gateway does not do what it was asked; its own words."""


class GatewayAwayError(UserError):
    """No gateway answers, or it fails; it may be restarting just now."""


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

    @classmethod
    def of(cls, settings: ServingSettings, port: int | None = None) -> Self:
        """Return the gateway of a preset.

        Args:
            settings: The preset's.
            port: Another port than the preset's; None for that.
        """
        return cls(settings.port if port is None else port, settings.key_env, settings.host)

    def status(self) -> dict[str, Any]:
        """Return what `/understudy/status` says.

        Raises:
            GatewayAwayError: No gateway answers.
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
            GatewayAwayError: No gateway answers.
        """
        headers = {"Content-Type": "application/json", **self._headers}
        body = json.dumps(values).encode()
        return self._ask(urllib.request.Request(self._url(name), body, headers), timeout_seconds)

    def _url(self, name: str) -> str:
        return f"{self._base_url}/understudy/{name}"

    def _ask(self, request: urllib.request.Request, seconds: float = _SECONDS) -> dict[str, Any]:
        try:
            with open_directly(request, seconds) as reply:
                values = json.load(reply)
                if not isinstance(values, dict):
                    raise ValueError("what answers there is no gateway")
                return values
        except urllib.error.HTTPError as error:
            message = _message(_body_of(error))
            is_get = request.get_method() == "GET"
            if error.code in _FAILED or (error.code == _UNAVAILABLE and is_get):
                raise GatewayAwayError(
                    f"The gateway on port {self._port} is returning HTTP {error.code}: "
                    f"{message.strip()[:_LONGEST_MESSAGE]}"
                ) from None
            raise RefusedError(message) from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)  # urllib wraps what the system says
            raise GatewayAwayError(
                f"No gateway answers on port {self._port}, at {self._base_url} ({reason}). Start "
                "it with `understudy serve`, or name its port with --port."
            ) from None


def _body_of(error: urllib.error.HTTPError) -> str:
    """Return what came of the body of an error."""
    try:
        return error.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):  # the gateway has ended meanwhile
        return "its answer broke off"


def _message(text: str) -> str:
    """Return the message in a body of the gateway, or the body."""
    try:
        error = json.loads(text)["error"]
        return str(error["message"]) if isinstance(error, dict) else str(error)
    except (ValueError, KeyError, TypeError):
        return text
