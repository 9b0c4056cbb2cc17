"""The default of every setting is a value that the setting takes."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pydantic
import pytest

from pipeline.config import Config
from serving.gateway.kept_mode import ModeState
from serving.settings import ServingSettings

OURS = ("components", "core", "judging", "models", "pipeline", "service_llm", "serving", "task")
ROOT = Path(__file__).parents[1]


def import_all() -> None:
    """Import the modules that have settings or records, so that none depends on other tests."""
    for room in OURS:
        for file in sorted((ROOT / room).rglob("*.py")):
            if "BaseModel" in file.read_text(encoding="utf-8"):
                importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))


import_all()


def subclasses(model: type[pydantic.BaseModel]) -> Iterator[type[pydantic.BaseModel]]:
    for each in model.__subclasses__():
        yield each
        yield from subclasses(each)


MODELS = sorted(
    {each for each in subclasses(pydantic.BaseModel) if each.__module__.startswith(OURS)},
    key=lambda each: (each.__module__, each.__qualname__),
)


def test_the_settings_of_all_rooms_are_among_them():
    assert {Config, ModeState, ServingSettings} <= set(MODELS)
    assert len({each.__module__.partition(".")[0] for each in MODELS}) >= 6


@pytest.mark.parametrize("model", MODELS, ids=lambda each: f"{each.__module__}.{each.__qualname__}")
def test_defaults_are_valid(model):
    for name, field in model.model_fields.items():
        if field.is_required() or field.default_factory is not None:
            continue
        kind: Any = field.annotation
        if field.metadata:
            kind = Annotated[kind, *field.metadata]
        default = field.default
        assert pydantic.TypeAdapter(kind).validate_python(default) == default, name
