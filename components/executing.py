"""What executors have in common; it imports neither TFX nor the code of a component."""

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from core.errors import UserError


def load_function(dotted: str, parameter: str) -> Callable[..., Any]:
    """Import a function that a component is given by its dotted name.

    Args:
        dotted: For example `models.generation.generate.generate_fn`.
        parameter: The component's parameter with this value, for messages.

    Raises:
        UserError: The name is that of no module, or of no function in it.
    """
    module_name, _, name = dotted.rpartition(".")
    try:
        function: Any = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"{parameter} {dotted!r} cannot be loaded: {error}. "
            "Give the import path of a function, such as models.generation.generate.generate_fn."
        ) from error
    if not callable(function):
        raise UserError(f"{parameter} {dotted!r} is a {type(function).__name__}, not a function.")
    loaded: Callable[..., Any] = function
    return loaded


def is_blessed(blessings: Sequence[Any]) -> bool:
    """Return whether a ModelBlessing says that the model passed the gate."""
    return all(blessing.get_int_custom_property("blessed") == 1 for blessing in blessings)
