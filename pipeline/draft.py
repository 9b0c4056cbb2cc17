"""Reads an incomplete preset, for the commands that only inspect and send nothing."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from pipeline.config import Config, read_values, validate

# What shipped presets leave to the user, with values that stand for it.
_VERTEX = {
    "project": "project",
    "pipeline_root": "gs://bucket/folder",
    "image": "region-docker.pkg.dev/project/repository/image",
}
_SIGN_IN = ("vertex_project", "api_key_env", "api_key_secret", "base_url")


class Draft(NamedTuple):
    """A configuration, and the settings that only the user knows.

    Attributes:
        config: With a value that stands for each of them.
        to_set: Their dotted names.
    """

    config: Config
    to_set: tuple[str, ...]


def load_draft(preset: str, overrides: Iterable[str] = ()) -> Draft:
    """Read a preset as `load_config` does, but allow the user's cloud settings to be missing.

    Raises:
        ConfigError: Anything else is missing or wrong.
    """
    values = read_values(preset, overrides)
    to_set = [*_complete_service(values), *_complete_vertex(values)]
    return Draft(validate(values, preset), tuple(to_set))


def _complete_service(values: dict[str, Any]) -> Iterable[str]:
    service = values.get("service_llm")
    if not isinstance(service, dict) or "vertex_location" not in service:
        return
    if not any(service.get(name) for name in _SIGN_IN):
        service["vertex_project"] = "project"
        yield "service_llm.vertex_project"


def _complete_vertex(values: dict[str, Any]) -> Iterable[str]:
    section = values.get("vertex")
    if not isinstance(section, dict):
        return
    for name, value in _VERTEX.items():
        if name not in section:
            section[name] = value
            yield f"vertex.{name}"
