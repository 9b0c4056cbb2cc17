"""Gemini on Vertex AI, over HTTP: on the stand-in's strict paths, and as robust as elsewhere."""

import json

import pytest

from components.synth_data_gen.schemas import AttributeSets
from pipeline.config import load_config
from pipeline.online_check import check_online
from service_llm.client import open_service_llm
from service_llm.embedding import Embedder
from service_llm.errors import AuthenticationError, QuotaError
from service_llm.settings import EmbedderSettings, ServiceLLMSettings
from service_llm.types import Request
from standin.embeddings import vector
from standin.server import serve
from tests.service_llm.conftest import VERTEX, Word, gemini_error, gemini_reply, words
from tests.service_llm.test_batch import requests

SHARED_QUOTA = (
    "Resource exhausted. Please try again later. Please refer to "
    "https://cloud.google.com/vertex-ai/generative-ai/docs/error-code-429 for more details."
)


@pytest.fixture
def ask_standin(tmp_path, cloud):
    def ask_standin(server, asked, **changes):
        settings = ServiceLLMSettings(
            provider="gemini",
            model="stand-in-1",
            base_url=server.url,
            requests_per_minute=60_000,
            retry_seconds=0.01,
            **VERTEX | changes,
        )
        with open_service_llm(
            settings, journal_uri=str(tmp_path / "vertex"), component="c", round=1
        ) as llm:
            return list(llm.map(asked)), llm.usage()

    return ask_standin


@pytest.mark.parametrize("location", ["global", "europe-west4", "us"])
def test_requests_go_to_the_project_and_the_location(ask, server, cloud, location):
    server.respond = lambda body, number: gemini_reply('{"word": "a"}')
    ask(words(2), **VERTEX | {"vertex_location": location})
    assert set(server.paths) == {
        f"/v1beta1/projects/team/locations/{location}/publishers/google/models/"
        "gemini-2.5-flash:generateContent"
    }


def test_the_stand_in_answers_with_a_token_and_checks_every_request(ask_standin, cloud):
    with serve() as server:
        results, usage = ask_standin(server, requests(20))
        assert server.stats()["bad_requests"] == 0
    assert all(result.value for result in results)
    assert usage.calls == 20
    assert cloud.tokens == 1


def test_a_token_that_expires_in_the_middle_of_a_run_is_renewed(ask_standin, cloud):
    """https://github.com/pydantic/pydantic-ai/issues/1186"""
    with serve(token_requests=7) as server:
        results, usage = ask_standin(server, requests(40), max_attempts=1)
        answered = server.stats()["answered"]
    assert all(result.value for result in results)
    assert usage.calls == answered == 40
    assert cloud.tokens >= 6


def test_a_token_that_never_served_is_a_matter_of_credentials(ask_standin):
    with (
        serve(token_requests=0) as server,
        pytest.raises(
            AuthenticationError, match=r"invalid authentication credentials.*gcloud auth"
        ),
    ):
        ask_standin(server, requests(3))


def test_a_schema_that_forbids_other_keys_is_taken(ask_standin):
    with serve() as server:
        (result,) = requests(1)
        asked = Request(result.prompt, AttributeSets)
        ((answer,), _) = ask_standin(server, [asked])
        assert server.stats()["bad_requests"] == 0
    assert answer.error != "refused"


def test_a_shared_quota_without_a_time_is_waited_for(ask, server, cloud):
    """https://github.com/googleapis/python-genai/issues/2001"""
    server.respond = lambda body, number: (
        gemini_error(429, "RESOURCE_EXHAUSTED", SHARED_QUOTA)
        if number == 2
        else gemini_reply('{"word": "a"}')
    )
    results, _ = ask(words(3), max_attempts=1, give_up_after_seconds=30, **VERTEX)
    assert all(result.value for result in results)


def test_a_shared_quota_that_never_lets_through_ends_with_its_own_words(ask, server, cloud):
    server.respond = lambda body, number: gemini_error(429, "RESOURCE_EXHAUSTED", SHARED_QUOTA)
    with pytest.raises(QuotaError, match=r"429 Resource exhausted.*error-code-429"):
        ask(words(3), give_up_after_seconds=0.1, **VERTEX)


def test_rows_usage_and_errors_in_a_200_are_read_as_elsewhere(ask, server, cloud):
    def respond(body, number):
        if "word 1" in json.dumps(body):
            text = "The input token count (9) exceeds the maximum number of tokens allowed (8)."
            return gemini_error(400, "INVALID_ARGUMENT", text)
        if number == 1:
            return 200, {"error": {"code": 503, "message": "overloaded"}}
        status, reply = gemini_reply('{"word": "a"}')
        return status, reply | {"usageMetadata": {"promptTokenCount": "many"}}

    server.respond = respond
    results, usage = ask(words(3), **VERTEX)
    assert [result.error for result in results] == [None, "refused", None]
    assert [result.value for result in results] == [Word(word="a"), None, Word(word="a")]
    assert (usage.calls, usage.unknown_calls) == (2, 2)


EMBEDDING_MODELS = {  # what google-genai posts differs by the model's name
    "stand-in-gemini-embedding": "embedContent",
    "stand-in-text-embedding-005": "predict",
    "stand-in-multilingual-embedding-002": "predict",
}


@pytest.fixture
def embed(tmp_path, cloud):
    def embed(url, texts, **changes):
        settings = EmbedderSettings(
            provider="gemini",
            base_url=url,
            requests_per_minute=60_000,
            retry_seconds=0.01,
            give_up_after_seconds=0.1,
            **VERTEX | changes,
        )
        with open_service_llm(
            settings, journal_uri=str(tmp_path / "vertex"), component="c", round=1
        ) as llm:
            return Embedder(llm, settings)(texts), llm.usage()

    return embed


@pytest.mark.parametrize("dimensions", [None, 16])
@pytest.mark.parametrize("model", EMBEDDING_MODELS)
def test_texts_become_vectors_on_the_stand_in_s_strict_paths(embed, model, dimensions):
    with serve() as server:
        texts = ["a kettle", "a parcel"]
        vectors, usage = embed(server.url, texts, model=model, dimensions=dimensions)
        assert server.stats()["by_kind"] == {"embed": 2}
        assert server.stats()["bad_requests"] == 0
        assert usage.prompt_tokens == server.stats()["prompt_tokens"]
    for text, row in zip(texts, vectors, strict=True):
        assert row.tolist() == pytest.approx(vector(text, dimensions or 256))


@pytest.mark.parametrize(("model", "method"), EMBEDDING_MODELS.items())
def test_embeddings_go_to_the_project_and_the_location(embed, server, model, method):
    predicted = {"predictions": [{"embeddings": {"values": [1.0]}}]}
    reply = predicted if method == "predict" else {"embedding": {"values": [1.0]}}
    server.respond = lambda body, number: (200, reply)
    embed(server.url, ["a kettle"], model=model)
    assert server.paths == [
        f"/v1beta1/projects/team/locations/global/publishers/google/models/{model}:{method}"
    ]


@pytest.mark.parametrize(
    ("count", "tokens", "unknown"), [(3, 3, 0), (3.0, 3, 0), ("many", 0, 1), (None, 0, 1)]
)
@pytest.mark.parametrize(("model", "method"), EMBEDDING_MODELS.items())
def test_a_vector_is_kept_whatever_its_count_of_tokens(
    embed, server, model, method, count, tokens, unknown
):
    statistics = {"token_count": count, "truncated": False}
    predicted = {"predictions": [{"embeddings": {"values": [1.0], "statistics": statistics}}]}
    one = {"embedding": {"values": [1.0]}, "usageMetadata": {"promptTokenCount": count}}
    server.respond = lambda body, number: (200, predicted if method == "predict" else one)
    vectors, usage = embed(server.url, ["a kettle"], model=model)
    assert vectors.tolist() == [[1.0]]
    assert (len(server.bodies), usage.calls) == (1, 1)
    assert (usage.prompt_tokens, usage.unknown_calls) == (tokens, unknown)


@pytest.mark.parametrize("model", EMBEDDING_MODELS)
def test_a_token_that_expires_among_embeddings_is_renewed(embed, cloud, model):
    """https://github.com/pydantic/pydantic-ai/issues/1186"""
    texts = [f"text {number}" for number in range(20)]
    with serve(token_requests=7) as server:
        vectors, usage = embed(server.url, texts, model=model, max_attempts=1)
    assert (len(vectors), usage.calls) == (20, 20)
    assert cloud.tokens >= 3


def test_gemini_on_vertex_ai_is_checked_with_its_embedder_and_its_batch_jobs(cloud, monkeypatch):
    with serve() as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        of_vertex = [
            f"{name}.{value}"
            for name in ("service_llm", "embedder")
            for value in (
                "provider=gemini", f"base_url={server.url}", "vertex_project=team",
                "vertex_location=global", "api_key_env=null",
            )
        ]  # fmt: skip
        config = load_config(
            "offline",
            [
                *of_vertex,
                "embedder.model=stand-in-gemini-embedding",
                "service_llm.batch=true",
                "service_llm.batch_uri=gs://team/batches",
            ],
            environ={},
        )
        told = check_online(config)
        assert server.stats()["bad_requests"] == 0
        assert server.stats()["by_kind"]["embed"] == 1
    assert told.count(": works") == 7 + 1
    assert "  batch jobs: works\n" in told
