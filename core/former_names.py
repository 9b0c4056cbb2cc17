"""Takes settings under a name that they had before."""

import warnings
from collections.abc import Callable
from typing import Any


def take_former_name(
    values: object,
    section: str,
    old: str,
    new: str,
    *,
    note: str = "",
    read: Callable[[Any], Any] = lambda value: value,
) -> object:
    """Give a value its new name, and warn; the new name's own value goes first.

    To be called by a validator that runs before all others.

    Args:
        values: What the settings are made of.
        section: Where they are in the configuration, such as `synth`.
        old: The former name.
        new: The name now.
        note: What else the warning says, after the new name.
        read: Makes the new value of the former one, whatever that is.
    """
    if not isinstance(values, dict) or old not in values:
        return values
    warnings.warn(
        f"{section}.{old} is called {section}.{new} now{note}. It still works; rename it in your "
        "preset.",
        FutureWarning,
        stacklevel=3,
    )
    kept = {name: value for name, value in values.items() if name != old}
    return {new: read(values[old])} | kept
