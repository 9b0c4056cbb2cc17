"""Runtime parameters as they are given to `submit` and `schedule`."""

from collections.abc import Sequence
from typing import Any

import pydantic

from core.errors import UserError
from core.yaml_text import Yaml, read_yaml
from pipeline.config import Config
from pipeline.preset_files import merge


def parameter_values(parameters: Sequence[str], config: Config) -> tuple[dict[str, Any], Config]:
    """Read runtime parameters.

    Args:
        parameters: `name=value` strings; the value is read as YAML.
        config: What they differ from.

    Returns:
        The values that the job is given, and the configuration that it then runs with.

    Raises:
        UserError: One cannot be read or used.
    """
    values: dict[str, Any] = {}
    changes: dict[str, Any] = {}
    for parameter in parameters:
        name, sign, text = parameter.partition("=")
        if not sign or not name:
            raise UserError(
                f"--parameter {parameter!r} has no value. Write --parameter name=value."
            )
        try:
            value = read_yaml(text)
        except ValueError as error:
            raise UserError(f"--parameter {name} is not valid YAML: {error}.") from error
        values[name] = value
        if isinstance(value, dict):
            section = _section(config, name, value)
            values[name] = section.model_dump_json()
            changes[name] = section
        elif name == "coverage_dir":
            changes[name] = str(value)
    known = {name: value for name, value in changes.items() if name in Config.model_fields}
    return values, config.model_copy(update=known)


def _section(config: Config, name: str, changes: dict[str, Yaml]) -> pydantic.BaseModel:
    """Return a section of the configuration with some values changed."""
    section = getattr(config, name, None)
    if not isinstance(section, pydantic.BaseModel):
        raise UserError(f"--parameter {name}: received {changes!r}, and it is not a section.")
    values = merge(section.model_dump(mode="json"), changes)
    try:
        return type(section).model_validate(values)
    except pydantic.ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc']))}: received {item['input']!r}. {item['msg']}"
            for item in error.errors()
        )
        raise UserError(f"--parameter {name} cannot be used: {problems}.") from error
