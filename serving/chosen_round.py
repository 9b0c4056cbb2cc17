"""The round that `serve reload --round N` chose, kept over restarts next to the mode."""

import json
from pathlib import Path

from core.whole_file import replace_file

_FILE = "round.json"


def read_chosen_round(folder: Path) -> int | None:
    """Return the round; None where the best one is to answer, or the file cannot be read."""
    try:
        number = json.loads((folder / _FILE).read_text(encoding="utf-8"))["round"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return number if isinstance(number, int) else None


def keep_chosen_round(folder: Path, round: int | None) -> None:
    """Keep a round; None for the best one.

    Raises:
        OSError: It cannot be written.
    """
    if round is None:
        (folder / _FILE).unlink(missing_ok=True)
    else:
        replace_file(folder / _FILE, json.dumps({"round": round}) + "\n")
