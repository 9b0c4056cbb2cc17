"""The default of every setting is a value that the setting takes."""

from collections.abc import Iterator
from typing import Annotated, Any

import pydantic
import pytest

from pipeline.config import Config
from serving.gateway.kept_mode import ModeState
from serving.settings import ServingSettings

OURS = ("components", "core", "judging", "models", "pipeline", "service_llm", "serving", "task")


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
