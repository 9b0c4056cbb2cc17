"""Finds a base model that cannot be loaded before anything is paid for."""

from components.executing import load_function
from core.errors import OutageError, UserError
from pipeline.config import Config

PRESET_FN = "models.loading.available.check_preset"


def check_base_model(config: Config) -> None:
    """Look whether the base model can be loaded; weights are not downloaded.

    Raises:
        UserError: It cannot.
        OutageError: Nobody could be asked, and the model is not on this machine.
    """
    load_function(PRESET_FN, "PRESET_FN")(config.training.preset)


def base_model_lines(config: Config) -> tuple[list[str], list[str]]:
    """Say whether the base model can be loaded.

    Returns:
        What to say of it, and what has to be done before a run.
    """
    try:
        check_base_model(config)
    except OutageError as error:
        return [f"Warning: {error}"], []
    except UserError as error:
        if config.vertex is None:
            return [], [str(error)]
        # The tasks there have logins of their own; `vertex.secrets` is checked before they start.
        return [f"Warning, if the run is to be on this machine: {error}"], []
    return [f"Base model: {config.training.preset} can be loaded."], []
