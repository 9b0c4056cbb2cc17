"""Says where the gateway itself failed, without the text of the error."""

import traceback
from pathlib import Path

from core.terminal import write_error


def print_error(error: Exception) -> None:
    """Print an error's name and place; its text may hold a key."""
    frames = traceback.extract_tb(error.__traceback__)
    where = ", ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-6:])
    write_error(f"understudy: {type(error).__name__} at {where}")
