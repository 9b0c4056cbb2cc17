"""Suggestions for names that do not exist: presets, keys and environment variables."""

import difflib
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pydantic

_CLOSE = 0.6  # difflib's own; of the siblings of a key
_ALMOST_EQUAL = 0.85  # of names from anywhere, where a wrong suggestion costs more than none


def suggest_preset(preset: str, names: Iterable[str]) -> str:
    """Suggest a shipped preset or a YAML file next to the one that is missing.

    Args:
        preset: What the user wrote, a name or a path.
        names: The shipped presets.

    Returns:
        A sentence with a space before it, such as " Did you mean 'offline'?", or nothing.
    """
    files = sorted(Path(preset).parent.glob("*.y*ml"))
    stems = {path.stem: str(path) for path in files} | {name: name for name in names}
    return _sentence(_closest(Path(preset).stem, stems, _CLOSE))


def suggest_key(model: type[pydantic.BaseModel], path: tuple[int | str, ...]) -> str:
    """Suggest a key of the same section, else one of the whole configuration.

    Args:
        model: The configuration.
        path: Where the unknown key is, such as ("rounds", "max_round").

    Returns:
        A sentence with a space before it, such as " Did you mean 'rounds.max_rounds'?", or nothing.
    """
    *section, word = map(str, path)
    siblings = {key: ".".join([*section, key]) for key in keys_at(model, path[:-1])}
    return _sentence(
        _closest(word.lower(), siblings, _ALMOST_EQUAL)
        or _closest(word.lower(), _by_last_part(model), _ALMOST_EQUAL)
        or _closest(word.lower(), siblings, _CLOSE)
        or _closest(_squashed(word), _by_squashed_path(model), _ALMOST_EQUAL)
    )


def misspelled_variable(model: type[pydantic.BaseModel], name: str, prefix: str) -> str | None:
    """Return the variable that was meant by one whose underscores or letters are off.

    Args:
        model: The configuration.
        name: A variable of the environment that does not start with the prefix.
        prefix: What the names of all variables that are read start with, such as `UNDERSTUDY__`.

    Returns:
        The variable of a setting, or None if the name is not close to one.

    Example:
        >>> misspelled_variable(Config, "UNDERSTUDY_ROUNDS__MAX_ROUNDS", "UNDERSTUDY__")
        'UNDERSTUDY__ROUNDS__MAX_ROUNDS'
    """
    program = prefix.rstrip("_") + "_"
    if not name.startswith(program):
        return None
    path = _closest(_squashed(name.removeprefix(program)), _by_squashed_path(model), _ALMOST_EQUAL)
    return prefix + path.upper().replace(".", "__") if path else None


def keys_at(model: type[pydantic.BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """List the keys of a section, sorted; none where the path leads to a value."""
    for part in path:
        inner = _section(model, str(part))
        if inner is None:
            return []
        model = inner
    return sorted(model.model_fields)


def _section(model: type[pydantic.BaseModel], key: str) -> type[pydantic.BaseModel] | None:
    field = model.model_fields.get(key)
    options = [field.annotation, *typing.get_args(field.annotation)] if field else []
    models = [o for o in options if isinstance(o, type) and issubclass(o, pydantic.BaseModel)]
    return models[0] if models else None


def _paths(model: type[pydantic.BaseModel], prefix: str = "") -> Iterator[str]:
    for key in model.model_fields:
        yield f"{prefix}{key}"
        if inner := _section(model, key):
            yield from _paths(inner, f"{prefix}{key}.")


def _by_last_part(model: type[pydantic.BaseModel]) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in _paths(model):
        found.setdefault(path.rpartition(".")[2], path)
    return found


def _by_squashed_path(model: type[pydantic.BaseModel]) -> dict[str, str]:
    return {_squashed(path): path for path in _paths(model)}


def _squashed(text: str) -> str:
    return text.lower().replace("_", "").replace(".", "")


def _closest(word: str, known: Mapping[str, str], cutoff: float) -> str | None:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return known[close[0]] if close else None


def _sentence(name: str | None) -> str:
    return f" Did you mean {name!r}?" if name else ""
