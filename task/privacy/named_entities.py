"""Find names of people and places with Microsoft Presidio, where the extra is installed."""

import functools
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

KINDS = ("PERSON", "LOCATION")


class _Result(Protocol):
    entity_type: str
    start: int
    end: int


class _Analyzer(Protocol):
    def analyze(self, text: str, *, language: str, entities: list[str]) -> list[_Result]: ...


def named_entities(text: str, models: Mapping[str, str]) -> Iterator[tuple[str, int, int]]:
    """Yield the kind, start and end of what Presidio takes for a name, language by language.

    Args:
        text: Any text.
        models: spaCy's model for each language, as in `privacy.presidio_models`.
    """
    if not models:
        return
    analyzer = _analyzer(tuple(sorted(models.items())))
    for language in models:
        for found in analyzer.analyze(text, language=language, entities=list(KINDS)):
            yield found.entity_type, found.start, found.end


def what_is_missing(models: Mapping[str, str]) -> str | None:
    """Say what has to be installed before `models` can be used; None where nothing has.

    Presidio itself would download a missing model, from a service that the preset does not name.
    """
    if not models:
        return None
    if importlib.util.find_spec("presidio_analyzer") is None:
        return "Presidio is not installed: pip install '.[presidio]'"
    for model in models.values():
        if not Path(model).exists() and importlib.util.find_spec(model) is None:
            return f"spaCy's model {model!r} is not installed: python -m spacy download {model}"
    return None


@functools.cache
def _analyzer(models: tuple[tuple[str, str], ...]) -> _Analyzer:
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    named = [{"lang_code": language, "model_name": model} for language, model in models]
    provider = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": named})
    analyzer: _Analyzer = AnalyzerEngine(
        nlp_engine=provider.create_engine(), supported_languages=[name for name, _ in models]
    )
    return analyzer
