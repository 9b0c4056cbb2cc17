"""Presets: YAML files, of the repository or the user's own, which may extend others."""

from pathlib import Path
from typing import Any

from core.errors import UserError
from core.yaml_text import read_yaml
from pipeline.suggestions import suggest_preset

PRESET_DIR = Path(__file__).parent / "presets"
_EXTENDS = "extends"


class ConfigError(UserError):
    """A preset, an environment variable or a `--set` that cannot be used."""


def preset_names() -> list[str]:
    """List the presets that come with the repository, sorted."""
    return sorted(p.stem for p in PRESET_DIR.glob("*.yaml") if p.stem != "base")


def read_preset(preset: str, heirs: tuple[str, ...] = ()) -> dict[str, Any]:
    """Read the values of a preset, over those of the preset that it extends.

    Args:
        preset: A name of `preset_names()`, or the path of a YAML file.
        heirs: Files that extend this one.

    Raises:
        ConfigError: It does not exist, cannot be read, or extends itself.
    """
    is_path = preset.endswith((".yaml", ".yml"))
    path = Path(preset) if is_path else PRESET_DIR / f"{preset}.yaml"
    if str(path) in heirs:
        raise ConfigError(f"The presets {' -> '.join([*heirs, str(path)])} extend each other.")
    try:
        values = read_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"There is no preset {preset!r}.{suggest_preset(preset, preset_names())} Choose one of "
            f"{', '.join(preset_names())}, or give the path of a YAML file."
        ) from None
    except OSError as error:
        raise ConfigError(f"The preset {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ConfigError(f"The preset {path} is not valid YAML: {error}.") from error
    if not isinstance(values, dict):
        raise ConfigError(
            f"The preset {path} contains {type(values).__name__}, not keys and values."
        )
    parent = values.pop(_EXTENDS, None)
    if not isinstance(parent, str | None):
        raise ConfigError(
            f"The preset {path} extends {parent!r}. Give the name of one preset, or the path of a "
            "YAML file."
        )
    return merge(read_preset(parent, (*heirs, str(path))), values) if parent else values


def merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return values with others put over them, key by key at every depth."""
    merged = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged
