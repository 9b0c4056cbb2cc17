"""Shorthands for the specifications of components."""

from typing import Any

from tfx.types.channel import Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter


def properties(*names: str, **types: type) -> dict[str, ExecutionParameter]:
    """Declare execution properties.

    Args:
        *names: Those that are texts.
        **types: The types of the others.
    """
    all_types = dict.fromkeys(names, str) | types
    return {name: ExecutionParameter(type=kind) for name, kind in all_types.items()}


def channels(*optional: str, **types: type) -> dict[str, ChannelParameter]:
    """Declare inputs or outputs.

    Args:
        *optional: The names of those that may be left out.
        **types: Artifact type by name.
    """
    return {
        name: ChannelParameter(type=kind, optional=name in optional) for name, kind in types.items()
    }


def fill(spec: type[ComponentSpec], **given: Any) -> ComponentSpec:
    """Make a specification with new channels for its outputs.

    Args:
        spec: Its class.
        **given: Inputs and execution properties; an input that is None is left out.
    """
    outputs = {key: Channel(type=output.type) for key, output in spec.OUTPUTS.items()}
    return spec(**{key: value for key, value in given.items() if value is not None}, **outputs)
