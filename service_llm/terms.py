"""What the terms of a service say about training a model on its outputs."""

import functools
import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

import pydantic
import yaml

from service_llm.settings import ServiceLLMSettings

_DEFAULT_HOSTS = {"gemini": "generativelanguage.googleapis.com", "openai": "api.openai.com"}
_VERTEX_HOST = "aiplatform.googleapis.com"


class Terms(pydantic.BaseModel, frozen=True, extra="forbid"):
    """One row of `terms.yaml`.

    Attributes:
        provider: Who offers the service.
        host: Host of its endpoint, or the end of it.
        clause: A summary of the clause; None where it is unknown.
        source: Address of the terms.
        date: The version that was read, as an ISO date; None where none was.
    """

    provider: str
    host: str
    clause: str | None
    source: str
    date: str | None

    @pydantic.field_validator("date", mode="before")
    @classmethod
    def _is_text(cls, value: object) -> object:
        return value if value is None else str(value)


@functools.cache
def terms_table() -> tuple[Terms, ...]:
    """Read all rows of `terms.yaml`."""
    path = Path(__file__).with_name("terms.yaml")
    rows = yaml.safe_load(path.read_text(encoding="utf-8"))
    return tuple(Terms.model_validate(row) for row in rows)


def terms_line(settings: ServiceLLMSettings) -> str:
    """Say in one line what is known of the terms of a service LLM.

    Args:
        settings: The service LLM whose outputs train the model.
    """
    host = _host(settings)
    if host is None:
        return (
            f"Terms of {settings.model}: {settings.base_url} names the endpoint. Look its terms "
            "up; the outputs of the stand-in come from a grammar, not from a model."
        )
    if _is_own(host):
        return (
            f"Terms of {settings.model}: it runs on a server of your own, so the license of that "
            "model decides whether its outputs may train another one. Look it up."
        )
    for row in terms_table():
        if host == row.host or host.endswith((f".{row.host}", f"-{row.host}")):
            if row.clause is None:
                return f"Terms of {row.provider}: not known here. Look them up: {row.source}"
            return f"Terms of {row.provider} ({row.date}): {row.clause} Read {row.source}"
    return f"Terms of {host}: not known here. Look them up before you train on its outputs."


def _host(settings: ServiceLLMSettings) -> str | None:
    """Return the endpoint's host; None where a variable names it, as for the stand-in."""
    if settings.base_url and settings.base_url.startswith("env:"):
        return None
    if settings.base_url:
        return urlsplit(settings.base_url).hostname or settings.base_url
    return _VERTEX_HOST if settings.vertex_project else _DEFAULT_HOSTS[settings.provider]


def _is_own(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or "." not in host or host.endswith((".local", ".internal"))
