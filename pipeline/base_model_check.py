"""Finds a base model that cannot be loaded before anything is paid for."""

from components.executing import load_function
from core.errors import OutageError, UserError
from core.families import why_not_exported
from pipeline.config import Config

PRESET_FN = "models.loading.available.check_preset"


def check_base_model(config: Config) -> None:
    """Look whether the base model can be loaded and exported; weights are not downloaded.

    Raises:
        UserError: It cannot.
        OutageError: Nobody could be asked, and the model is not on this machine.
    """
    _look_for(config)
    if problems := export_problems(config):
        raise UserError("\n".join(problems))


def export_problems(config: Config) -> list[str]:
    """Name the formats of `training.exports` that the base model cannot be written in."""
    training = config.training
    refused = why_not_exported(training.preset, training.exports)
    if training.backend == "jax" and "saved_model" in training.exports:
        refused["saved_model"] = "the JAX backend (training.backend) cannot write it"
    if not refused:
        return []
    reasons = "; ".join(f"not {export}, since {why}" for export, why in refused.items())
    left = ", ".join(export for export in training.exports if export not in refused)
    return [
        f"training.exports is [{', '.join(training.exports)}], but the base model "
        f"{training.preset} cannot be exported in all of these formats ({reasons}). Set "
        f"training.exports=[{left}]."
    ]


def _look_for(config: Config) -> None:
    load_function(PRESET_FN, "PRESET_FN")(config.training.preset)


def base_model_lines(config: Config) -> tuple[list[str], list[str]]:
    """Say whether the base model can be loaded and exported.

    Returns:
        What to say of it, and what has to be done before a run.
    """
    problems = export_problems(config)
    try:
        _look_for(config)
    except OutageError as error:
        return [f"Warning: {error}"], problems
    except UserError as error:
        if config.vertex is None:
            return [], [str(error), *problems]
        # The tasks there have logins of their own; `vertex.secrets` is checked before they start.
        return [f"Warning, if the run is to be on this machine: {error}"], problems
    return [f"Base model: {config.training.preset} can be loaded."], problems
