"""`python -m serving.probe PORT [KEY_ENV [HOST]]`: exit status 0 when the gateway here is ready.

For container and Kubernetes probes, which have no key of the gateway to send.
"""

import http.client
import os
import sys
import urllib.request

from serving.address import open_directly, url_of

_SECONDS = 5


def main() -> int:
    """Ask the gateway on this host: the arguments are its port, its key's variable and its address.

    Returns:
        0 when it is ready, else 1.
    """
    port = sys.argv[1] if len(sys.argv) > 1 else "8100"
    key_env = sys.argv[2] if len(sys.argv) > 2 else ""
    host = sys.argv[3] if len(sys.argv) > 3 else "127.0.0.1"
    request = urllib.request.Request(f"{url_of(host, port)}/understudy/ready")
    if key := os.environ.get(key_env, "").strip():
        request.add_header("x-understudy-key", key)
    try:
        with open_directly(request, _SECONDS):
            return 0
    except (OSError, http.client.HTTPException) as error:  # the latter for what is no HTTP
        print(f"not ready: {error}", file=sys.stderr)  # noqa: T201
        return 1


if __name__ == "__main__":
    sys.exit(main())
