"""The proxy that the environment names, read by one rule for every client.

httpx's own reading stops at `NO_PROXY=[::1]` and needs a package for SOCKS that is not installed.
"""

import ipaddress
import urllib.parse
import urllib.request

from core.errors import UserError
from service_llm.addresses import can_be_read

_SUPPORTED = ("http", "https")


def proxy_for(url: str) -> str | None:
    """Return the proxy for requests to a URL; None where they go straight.

    Reads `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in either case.

    Raises:
        UserError: It cannot be read, or is a proxy of another kind than HTTP; the message does not
            show its URL, which may hold a password.
    """
    parts = urllib.parse.urlsplit(url)
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or _is_exempt(parts.hostname or "", parts.port, proxies.get("no", "")):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    variable = f"{parts.scheme}_proxy" if proxies.get(parts.scheme) else "all_proxy"
    if not can_be_read(proxy) or not urllib.parse.urlsplit(proxy).hostname:
        raise UserError(
            f"The environment variable {variable.upper()} is not the URL of a proxy (its host or "
            "port cannot be read). Write it like http://proxy.example:3128; in a password, write "
            "/ as %2F, # as %23 and @ as %40."
        )
    scheme = urllib.parse.urlsplit(proxy).scheme.lower()
    if scheme not in _SUPPORTED:
        raise UserError(
            f"The environment variable {variable.upper()} names a {scheme}:// proxy, which is not "
            f"supported. Set {parts.scheme.upper()}_PROXY to an http:// proxy, or add "
            f"{parts.hostname} to NO_PROXY."
        )
    return proxy


def _is_exempt(host: str, port: int | None, no_proxy: str) -> bool:
    """Whether `NO_PROXY` lists a host: by name, as a domain, an address or a network."""
    for entry in (part.strip().lower() for part in no_proxy.split(",")):
        name, entry_port = _host_and_port(entry)
        if not name or (entry_port is not None and entry_port != port):
            continue
        if name in ("*", host) or host.endswith(f".{name.lstrip('.')}"):
            return True
        try:
            if ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False):
                return True
        except ValueError:
            continue
    return False


def _host_and_port(entry: str) -> tuple[str, int | None]:
    """Return the parts of an entry such as `[::1]`, `::1`, `10.0.0.0/8` or `model.example:8080`."""
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        port = rest.lstrip(":")
    elif entry.count(":") == 1:
        name, _, port = entry.partition(":")
    else:
        name, port = entry, ""
    return name, int(port) if port.isdecimal() else None
