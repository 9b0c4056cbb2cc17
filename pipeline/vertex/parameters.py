"""Runtime parameters as they are given to `submit` and `schedule`."""

from collections.abc import Sequence
from typing import Any

import pydantic

from core.errors import UserError
from core.yaml_text import Yaml, read_yaml
from pipeline.config import Config
from pipeline.preset_files import merge

# Parameters that hold a section of the configuration as JSON.
_SECTIONS = ("synth", "training", "generation", "few_shot_generation", "evaluator")
# What a compiled job also has in other tasks, in their environment or in its DAG.
_COMPILED = {
    "synth": ("leak_judge",),
    "training": ("backend", "preset"),
    "evaluator": (
        "baselines",
        "baseline_examples",
        "max_baseline_prompts",
        "max_example_tokens",
        "max_prompts",
    ),
}


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
        if isinstance(value, dict) or name in _SECTIONS:
            section = _section(config, name, value)
            values[name] = section.model_dump_json()
            changes[name] = section
        elif name == "coverage_dir":
            changes[name] = str(value)
    known = {name: value for name, value in changes.items() if name in Config.model_fields}
    return values, _valid(config.model_copy(update=known))


def _valid(changed: Config) -> Config:
    """Return a configuration whose sections fit together."""
    try:
        return Config.model_validate(changed.model_dump())
    except pydantic.ValidationError as error:
        problems = "; ".join(item["msg"] for item in error.errors())
        raise UserError(f"--parameter: the settings do not fit together. {problems}.") from error


def _section(config: Config, name: str, given: Yaml) -> pydantic.BaseModel:
    """Return a section of the configuration with some values changed."""
    changes = _parsed(given)
    section = getattr(config, name, None)
    if not isinstance(section, pydantic.BaseModel):
        raise UserError(f"--parameter {name}: received {changes!r}, and it is not a section.")
    if not isinstance(changes, dict):
        raise UserError(
            f"--parameter {name}: received {changes!r}, and it is a section. Write --parameter "
            f"'{name}={{KEY: VALUE}}'."
        )
    values = merge(section.model_dump(mode="json"), changes)
    try:
        changed = type(section).model_validate(values)
    except pydantic.ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc']))}: received {item['input']!r}. {item['msg']}"
            for item in error.errors()
        )
        raise UserError(f"--parameter {name} cannot be used: {problems}.") from error
    for key in _COMPILED.get(name, ()):
        if getattr(changed, key) != getattr(section, key):
            raise UserError(
                f"--parameter {name}: received {key}={getattr(changed, key)!r}. The other tasks "
                f"are compiled with {name}.{key}={getattr(section, key)!r}. Use --set "
                f"{name}.{key}=VALUE."
            )
    return changed


def _parsed(value: Yaml) -> Yaml:
    """Return what a text holds: the console shows sections as JSON in one."""
    if not isinstance(value, str):
        return value
    try:
        return read_yaml(value)
    except ValueError:
        return value
