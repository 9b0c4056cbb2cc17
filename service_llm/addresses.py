"""What may be wrong with the address of a service."""

import urllib.parse

_CHAT_PATHS = ("/chat/completions", "/embeddings")
_EXAMPLE = "Write it like http://127.0.0.1:11434/v1."


def problem_with(url: str) -> str | None:
    """Return what is wrong with a URL, and what to do; None where it can be used."""
    if not can_be_read(url.strip()):
        return f"is not a URL (its host or port cannot be read). {_EXAMPLE}"
    parts = urllib.parse.urlsplit(url.strip())
    port = parts.port
    found = None
    if "@" in parts.netloc:
        found = (
            "holds a user name or password. Remove it; give a key by api_key_env or api_key_secret."
        )
    elif parts.scheme not in ("http", "https") or not parts.hostname:
        found = f"has to begin with http:// or https:// and name a host. {_EXAMPLE}"
    elif port == 0:
        found = f"names port 0, on which nothing listens. {_EXAMPLE}"
    elif parts.query or parts.fragment:
        found = f"must not hold a query or a fragment. {_EXAMPLE}"
    elif parts.path.rstrip("/").endswith(_CHAT_PATHS):
        found = "must end before /chat/completions, which is added to it. Usually it ends in /v1."
    return found


def can_be_read(url: str) -> bool:
    """Whether a URL can be read by every client: its host, its port, and no odd character."""
    import httpx  # here, as settings are read where nothing is sent

    try:
        _ = urllib.parse.urlsplit(url).port
        host = httpx.URL(url).raw_host.decode()
        host.encode("idna")  # no label is empty or too long: sockets would not take it
    except (ValueError, httpx.InvalidURL):
        return False
    return not any(letter.isspace() for letter in url)


def path_advice(base_url: str, endpoint: str) -> str:
    """Return what to do where an OpenAI-compatible server has nothing at the path.

    Args:
        base_url: The address.
        endpoint: What was asked for below it, such as `/chat/completions`.
    """
    path = urllib.parse.urlsplit(base_url).path.rstrip("/")
    if path.endswith("/v1"):
        return (
            f"Nothing is served at {base_url}{endpoint}: compare base_url with the server's "
            "documentation."
        )
    # Ollama's own API is below /api, next to /v1.
    root = base_url.rstrip("/").removesuffix("/api")
    return (
        f"Nothing is served at {base_url}{endpoint}: base_url probably has to end in /v1, "
        f"like {root}/v1."
    )
