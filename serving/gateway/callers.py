"""Who signs a request, and whether the tuned model may answer where the service refuses its key."""

import base64
import binascii
import hmac
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from core.errors import UserError
from serving.gateway.alarms import Alarms
from serving.gateway.client_side import Client, Header
from serving.gateway.faults import Failure
from serving.gateway.keys import GATEWAY_KEY, KnownKeys, credential

_PROJECT = re.compile(r"/v1(?:beta1)?/projects/([^/]+)/locations/")
_SETTLED_SECONDS = 60.0  # without the contrary, before the alarm of a project changes


class Caller(NamedTuple):
    """Who signs a request.

    Attributes:
        key: Salted hash of its key or token.
        project: Google Cloud project that its bearer token is for; empty where it has none.
        has_gateway_key: Whether it brings the gateway's own key.
    """

    key: str
    project: str = ""
    has_gateway_key: bool = False


class GatewayKey:
    """The gateway's own key.

    Args:
        variable: Environment variable that holds it; None for no key.

    Raises:
        UserError: The variable is not set, or its value is not ASCII.
    """

    def __init__(self, variable: str | None) -> None:
        self._key = os.environ.get(variable, "").strip().encode() if variable else None
        if self._key == b"":
            raise UserError(
                f"serving.key_env names {variable}, which is not set. Export it with a long random "
                "text; callers send it as x-understudy-key."
            )
        if self._key and not self._key.isascii():
            raise UserError(
                f"serving.key_env names {variable}, whose value has characters that not every "
                "client sends alike in a header. Take letters, digits and punctuation of ASCII."
            )

    @property
    def exists(self) -> bool:
        """Whether the gateway has a key."""
        return self._key is not None

    def is_given(self, headers: list[Header]) -> bool:
        """Whether a request brings it."""
        return self._is(_value(headers, GATEWAY_KEY))

    def opens_pages(self, headers: list[Header]) -> bool:
        """Whether a request for the gateway's own pages brings it.

        There it may also come as a browser and Prometheus send one, in `Authorization`: as a bearer
        token, or as the password of any user.
        """
        scheme, _, given = _value(headers, b"authorization").partition(b" ")
        if scheme.lower() == b"basic":
            try:
                given = base64.b64decode(given).partition(b":")[2]
            except binascii.Error:
                given = b""
        return self.is_given(headers) or self._is(given.strip())

    def _is(self, given: bytes) -> bool:
        return self._key is not None and hmac.compare_digest(given, self._key)


def _value(headers: list[Header], wanted: bytes) -> bytes:
    return next((value for name, value in headers if name == wanted), b"")


class _Project:
    def __init__(self) -> None:
        self.succeeded_at = self.refused_at = -_SETTLED_SECONDS


class Callers:
    """All callers: the keys that succeeded here, and the projects of tokens that did.

    A bearer token of Vertex AI lasts an hour, so in an outage of billing or permissions the next
    one never succeeded. It proves nothing by itself: anybody can write a project into a path. The
    gateway's own key does, so who brings it is covered for a project of which any token succeeded.

    Args:
        own_key: The gateway's own key.
        project: The project of requests that name none in their path; empty for none.
        alarms: Raised where a key or a project's tokens worked before and are refused.
        state_dir: See `KnownKeys`.
        clock: Seconds, monotonic.

    Attributes:
        known: The keys that succeeded here.
    """

    def __init__(
        self,
        own_key: GatewayKey,
        project: str,
        alarms: Alarms,
        state_dir: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._own_key = own_key
        self._project = project
        self._alarms = alarms
        self.known = KnownKeys(state_dir)
        self._clock = clock
        self._projects: dict[str, _Project] = {}

    def caller(self, client: Client) -> Caller:
        """Return who signs a request."""
        signed = credential(client.headers, client.query)
        project = ""
        if signed.is_token:
            found = _PROJECT.match(client.path)
            project = found[1] if found else self._project
        has_gateway_key = bool(project) and self._own_key.is_given(client.headers)
        return Caller(self.known.hash(signed.value), project, has_gateway_key)

    def covers(self, caller: Caller) -> bool:
        """Whether the tuned model answers for a caller whose key the service refuses."""
        if self.known.has_succeeded(caller.key):
            return True
        return caller.has_gateway_key and self._knows_project_of(caller)

    def record_success(self, caller: Caller) -> None:
        """Remember that the service accepted a key."""
        self.known.record_success(caller.key)
        if caller.project:
            self.known.record_success(self._hash_of_project(caller))
            project = self._projects.setdefault(caller.project, _Project())
            project.succeeded_at = self._clock()
        if self._alarms:
            self._alarms.set(f"key:{caller.key[:8]}", False, "the service accepts the key again")
            if caller.project and self._is_settled(project.refused_at):
                text = f"the service accepts tokens of project {caller.project} again"
                self._alarms.set(f"project:{caller.project}", False, text)

    def record_refusal(self, caller: Caller, failure: Failure) -> None:
        """Raise the alarm where the service refuses what it accepted before."""
        if self.known.has_succeeded(caller.key):
            self._alarms.set(
                f"key:{caller.key[:8]}",
                True,
                f"{failure.text} to a key that worked before. Check the key, its billing and its "
                "region",
            )
        elif caller.project and self._knows_project_of(caller):
            self._record_refused_token(caller, failure)

    def _record_refused_token(self, caller: Caller, failure: Failure) -> None:
        project = self._projects.setdefault(caller.project, _Project())
        project.refused_at = self._clock()
        text = f"{failure.text} to a new token of project {caller.project}, which worked before"
        if caller.has_gateway_key:
            text += ". The tuned model answers. Check the project's billing and permissions"
        elif self._is_settled(project.succeeded_at):  # or a single caller's token is wrong
            text += (
                ", and its caller is not covered: send the gateway's own key (serving.key_env) as "
                "x-understudy-key. Check the project's billing and permissions"
            )
        else:
            return
        self._alarms.set(f"project:{caller.project}", True, text)

    def _knows_project_of(self, caller: Caller) -> bool:
        return self.known.has_succeeded(self._hash_of_project(caller))

    def _hash_of_project(self, caller: Caller) -> str:
        return self.known.hash(f"project {caller.project}".encode())

    def _is_settled(self, at: float) -> bool:
        return self._clock() - at >= _SETTLED_SECONDS
