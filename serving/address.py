"""The URL at which this machine reaches a gateway."""

import ipaddress

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
