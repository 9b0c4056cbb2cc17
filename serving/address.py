"""The URL at which this machine reaches a gateway, how it is opened, and the URL of a webhook."""

import ipaddress
import os
import urllib.parse
import urllib.request
from typing import Any

from core.errors import UserError
from core.key_names import FROM_ENVIRONMENT
from service_llm.addresses import can_be_read

_LOOPBACK = {4: "127.0.0.1", 6: "::1"}


def url_of(host: str, port: int | str) -> str:
    """Return the URL of a gateway that listens on a host of this machine.

    Args:
        host: `serving.host`; one that stands for every address of the machine is reached by its
            loopback.
        port: Its port.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"http://{host}:{port}"
    dialed = _LOOPBACK[address.version] if address.is_unspecified else host
    return f"http://[{dialed}]:{port}" if address.version == 6 else f"http://{dialed}:{port}"


def open_directly(request: urllib.request.Request, timeout_seconds: float) -> Any:
    """Open a URL of a gateway, by no proxy that the environment names.

    A proxy reaches another machine than this one by `127.0.0.1`, and would get the gateway's key.

    Args:
        request: What is asked.
        timeout_seconds: For the answer.

    Raises:
        OSError: There is none, or its status is an error (`urllib.error.HTTPError`).
        http.client.HTTPException: What answers there speaks no HTTP, or broke off.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(request, timeout=timeout_seconds)


def is_web_address(url: str) -> bool:
    """Whether a URL begins with `http://` or `https://`, and names a host that there can be."""
    if not can_be_read(url):
        return False
    parts = urllib.parse.urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0


def webhook_of(url: str | None) -> str | None:
    """Return the URL of a webhook, read from the environment where it says `env:NAME`.

    Args:
        url: `serving.alert_url`; None for no webhook.

    Raises:
        UserError: The variable is not set, or holds no URL. The message does not repeat it: who
            knows a webhook's URL may post to it.
    """
    if url is None or not url.startswith(FROM_ENVIRONMENT):
        return url
    name = url.removeprefix(FROM_ENVIRONMENT)
    found = os.environ.get(name, "").strip()
    if not found:
        raise UserError(f"{name} is not set, and serving.alert_url is read from it. Export {name}.")
    if not is_web_address(found):
        raise UserError(
            f"{name}, which serving.alert_url is read from, holds no URL of a webhook. Export "
            f"{name} as it was given to you, from https:// on."
        )
    return found
