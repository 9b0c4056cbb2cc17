import datetime

import pytest

from service_llm.settings import ServiceLLMSettings
from service_llm.terms import terms_line, terms_table


def line(**fields):
    values = {"provider": "openai", "model": "some-model"} | fields
    return terms_line(ServiceLLMSettings(**values))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"provider": "gemini", "api_key_env": "KEY"},
            ["Google AI Studio", "2025-05-20", "compete", "https://ai.google.dev/"],
        ),
        ({"provider": "gemini", "vertex_project": "mine"}, ["Vertex AI", "Look them up"]),
        ({"base_url": "https://api.openai.com/v1"}, ["OpenAI (2025-05-31)", "compete"]),
        ({"base_url": "https://mine.openai.azure.com/v1"}, ["Azure OpenAI", "Look them up"]),
        ({"base_url": "http://127.0.0.1:8080/v1"}, ["server of your own", "license"]),
        ({"base_url": "http://vllm:8000/v1"}, ["server of your own"]),
        ({"base_url": "http://10.0.0.7/v1"}, ["server of your own"]),
        ({"base_url": "https://llm.example.com/v1"}, ["llm.example.com: not known", "Look them"]),
        ({"base_url": "https://notapi.openai.com.example.org/v1"}, ["not known here"]),
        ({"base_url": "env:SOME_URL"}, ["env:SOME_URL", "stand-in"]),
    ],
)
def test_the_clause_is_named_or_is_to_be_looked_up(fields, words):
    said = line(**fields)
    for word in words:
        assert word in said, said


def test_every_row_has_a_source_and_a_known_clause_has_a_date():
    for row in terms_table():
        assert row.source.startswith("https://")
        assert (row.clause is None) == (row.date is None), row
        if row.date:
            datetime.date.fromisoformat(row.date)
