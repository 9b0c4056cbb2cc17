"""The registry of providers: an entry is enough, and an unknown name never becomes another one."""

import sys

import pydantic
import pytest

from service_llm.errors import ServiceLLMError
from service_llm.provider_table import EMBEDDERS, PROVIDERS
from service_llm.providers.registry import open_provider
from service_llm.settings import EmbedderSettings, ServiceLLMSettings

LOCAL = {"model": "m", "base_url": "http://127.0.0.1:9/v1"}
KINDS = [
    pytest.param(ServiceLLMSettings, PROVIDERS, id="language model"),
    pytest.param(EmbedderSettings, EMBEDDERS, id="embedding model"),
]


@pytest.mark.parametrize(("kind", "table"), KINDS)
def test_every_entry_opens_its_own_class(kind, table):
    for name, path in table.items():
        opened = open_provider(kind(provider=name, **LOCAL))
        assert f"{type(opened).__module__}:{type(opened).__name__}" == path


@pytest.mark.parametrize(("kind", "table"), KINDS)
def test_an_unknown_name_is_refused_where_settings_are_read(kind, table):
    with pytest.raises(
        pydantic.ValidationError, match=r"There is no such provider.*gemini, openai"
    ):
        kind(provider="ollama", **LOCAL)


@pytest.mark.parametrize(("kind", "table"), KINDS)
def test_an_unknown_name_never_becomes_another_provider(kind, table):
    settings = kind.model_construct(provider="ollama", **LOCAL)
    with pytest.raises(ServiceLLMError, match=r"'ollama' is unknown.*gemini, openai"):
        open_provider(settings)


def test_one_entry_adds_a_provider(monkeypatch):
    monkeypatch.setitem(sys.modules, "my_provider", sys.modules[__name__])
    monkeypatch.setitem(PROVIDERS, "mine", "my_provider:Mine")
    assert isinstance(open_provider(ServiceLLMSettings(provider="mine", **LOCAL)), Mine)


class Mine:
    """A provider of this test."""

    def __init__(self, settings: ServiceLLMSettings) -> None:
        self.settings = settings
