"""Looks at a preset's folder before libraries follow what is written in it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from core.errors import ModelError

# Of KerasHub and of transformers: which file holds which weight.
_INDEXES = ("model.weights.json", "model.safetensors.index.json")
_MAX_JSON_BYTES = 1 << 28  # a tokenizer's vocabulary takes some 30 MB


def check_preset_folder(preset: str) -> None:
    """Raise where a local preset leads out of its folder.

    Links are followed where they stay in the folder, or lead to the `blobs` of a snapshot in the
    cache of the Hugging Face Hub.

    Args:
        preset: What `from_preset` takes; nothing is checked where it is no local folder.

    Raises:
        ModelError: A link or the index of weights names a file elsewhere, or a JSON file is larger
            than any that a model has.
    """
    folder = Path(preset)
    if "://" in preset or not folder.is_dir():
        return
    if reason := next(_problems(folder), None):
        raise ModelError(
            f"The preset {preset!r} cannot be loaded: {reason}. Give a folder with a KerasHub "
            "preset, whole and with no links to elsewhere."
        )


def _problems(folder: Path) -> Iterator[str]:
    real = folder.resolve()
    roots = [real, *([real.parents[1] / "blobs"] if real.parent.name == "snapshots" else [])]
    for path, names, files in os.walk(folder):
        for name in (*names, *files):
            file = Path(path, name)
            if file.is_symlink() and not any(file.resolve().is_relative_to(r) for r in roots):
                yield f"{file.relative_to(folder).as_posix()!r} is a link out of the folder"
            if file.suffix == ".json" and file.is_file() and file.stat().st_size > _MAX_JSON_BYTES:
                yield f"{file.relative_to(folder).as_posix()!r} has {file.stat().st_size:,} bytes"
    for name in _INDEXES:
        if (folder / name).is_file():
            yield from _problems_of_index(folder / name)


def _problems_of_index(index: Path) -> Iterator[str]:
    try:
        files = files_of_index(index)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        yield f"{index.name!r} is not a weights index ({type(error).__name__})"
        return
    for name in files:
        if not isinstance(name, str) or name in ("", ".", "..") or Path(name).name != name:
            yield f"{index.name!r} names the file {name!r}"


def files_of_index(index: Path) -> list[str]:
    """Return the files that an index of weights names; those of a checked folder are names."""
    files = json.loads(index.read_bytes())["weight_map"].values()
    return [name for value in files for name in (value if isinstance(value, list) else [value])]
