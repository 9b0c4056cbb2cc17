"""Finds the loop that the arguments of a command name."""

import os
import re
from collections.abc import Sequence

from core.errors import UserError
from pipeline.config import Config, load_config
from pipeline.config_errors import ENV_PREFIX
from pipeline.vertex.cloud import Cloud
from pipeline.vertex.errors import explained
from pipeline.vertex.settings import VertexSettings
from pipeline.vertex.state import StateFile, loop_folder

_DEFAULT_PRESET = "vertex"
_LOOP_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")


def find_loop(
    cloud: Cloud, preset: str, overrides: Sequence[str], name: str | None, uri: str | None
) -> tuple[Config, StateFile]:
    """Return the configuration and the state of the loop that the arguments name.

    Args:
        cloud: Reads the state.
        preset: As for `run`.
        overrides: As for `run`.
        name: The loop's name; None for the one in the preset.
        uri: Of its folder; None to find it by its name.

    Raises:
        UserError: There is no such loop, or other arguments are given with its URI.
    """
    if uri:
        _check_alone(preset, overrides, name)
        file = StateFile(uri, cloud.bucket)
        with explained(_named_only_by(uri)):
            state = file.load()
        if state is None:
            raise UserError(f"No loop was started at {uri}. Give the URI that `run` has printed.")
        return state.config, file
    config = load_config(preset, overrides)
    name = name or config.name
    if not _LOOP_NAME.fullmatch(name):
        raise UserError(f"--loop {name!r}: a name has only lower-case letters, digits and hyphens.")
    return config, StateFile(loop_folder(config.vertex_settings.root, name), cloud.bucket)


def _check_alone(preset: str, overrides: Sequence[str], name: str | None) -> None:
    """Refuse what a loop that is named by its URI would not heed."""
    given = [f"--set {override}" for override in overrides]
    if preset != _DEFAULT_PRESET:
        given.append(f"--preset {preset}")
    if name:
        given.append(f"--loop {name}")
    given += [f"The variable {key}" for key in sorted(os.environ) if key.startswith(ENV_PREFIX)]
    if given:
        raise UserError(
            f"{given[0]} cannot be used with --from: the loop keeps the configuration that it was "
            "started with. Leave it out, or run without --from and with the preset of the loop, "
            "where settings of `rounds` may change."
        )


def _named_only_by(uri: str) -> VertexSettings:
    """Return settings to advise with, while those of the loop are not known yet."""
    return VertexSettings.model_construct(
        project="PROJECT", region="REGION", pipeline_root=uri, image="IMAGE"
    )
