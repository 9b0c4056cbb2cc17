"""Embeddings of both providers over real HTTP: vectors, what is paid for, and what goes wrong."""

import numpy as np
import pytest

from service_llm.client import open_service_llm
from service_llm.embedding import Embedder
from service_llm.errors import BadRequestError, ServiceLLMError
from service_llm.settings import EmbedderSettings
from service_llm.vector import Embedding

VECTORS = {"cat": [1.0, 0.5, -2.0], "dog": [0.25, 0.0, 3.0], "cow": [1.0, 1.0, 1.0]}


def text_of(body):
    if "input" in body:
        (text,) = body["input"]
        return text
    return body["requests"][0]["content"]["parts"][0]["text"]


def size_of(body):
    if "input" in body:
        return body.get("dimensions")
    return body["requests"][0].get("outputDimensionality")


def vectors_of(body, number):
    vector = VECTORS[text_of(body)]
    if "input" not in body:
        return 200, {"embeddings": [{"values": vector}], "usageMetadata": {"promptTokenCount": 3}}
    return 200, {
        "object": "list",
        "model": "local-embedding-1",
        "data": [{"object": "embedding", "index": 0, "embedding": vector}],
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }


@pytest.fixture(params=["gemini", "openai"])
def embedder_settings(request, server):
    server.respond = vectors_of

    def make(**changes):
        values = {
            "provider": request.param,
            "model": "gemini-embedding-001" if request.param == "gemini" else "local-embedding",
            "base_url": server.url if request.param == "gemini" else f"{server.url}/v1",
            "requests_per_minute": 60_000,
            "retry_seconds": 0.01,
        }
        return EmbedderSettings(**values | changes)

    return make


@pytest.fixture
def embed(tmp_path, embedder_settings):
    def embed(texts, **changes):
        settings = embedder_settings(**changes)
        with open_service_llm(
            settings, journal_uri=str(tmp_path / "journal"), component="c", round=1
        ) as service:
            return Embedder(service, settings)(texts), service.usage()

    return embed


def test_texts_become_vectors_in_their_order(embed):
    vectors, usage = embed(["dog", "cat", "cow", "dog"])
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [VECTORS["dog"], VECTORS["cat"], VECTORS["cow"], VECTORS["dog"]]
    assert usage.calls == 3, "a text that is there twice is asked for once"
    assert (usage.prompt_tokens, usage.unknown_calls) == (9, 0)


def test_a_text_is_paid_for_once(embed, server):
    first, _ = embed(["cat", "dog"])
    again, usage = embed(["dog", "cow", "cat"])
    assert [text_of(body) for body in server.bodies].count("cat") == 1
    assert usage.calls == len(server.bodies) == 3
    assert again[2].tolist() == first[0].tolist()


@pytest.mark.parametrize("count", [None, -3, "many", [], True])
def test_vectors_without_a_count_of_tokens_are_kept_and_their_usage_unknown(embed, server, count):
    def respond(body, number):
        status, reply = vectors_of(body, number)
        usage = {"usage": {"prompt_tokens": count}, "usageMetadata": {"promptTokenCount": count}}
        return status, reply | {name: part for name, part in usage.items() if name in reply}

    server.respond = respond
    price = {"prompt_usd_per_million_tokens": 3.0, "output_usd_per_million_tokens": 0.0}
    vectors, usage = embed(["cat"], price=price, budget_usd=5)
    assert vectors.tolist() == [VECTORS["cat"]]
    assert (usage.calls, usage.prompt_tokens, usage.unknown_calls) == (1, 0, 1)
    assert 0 < usage.cost_usd < 1e-3, "estimated from the text"


def test_another_size_is_another_vector(embed, server):
    embed(["cat"])
    embed(["cat"], dimensions=2)
    assert [size_of(body) for body in server.bodies] == [None, 2]


def test_overload_is_tried_again_and_a_bad_request_is_not(embed, server):
    server.respond = lambda body, number: (
        (503, {"error": {"message": "busy"}}) if number == 1 else vectors_of(body, number)
    )
    vectors, _ = embed(["cat"])
    assert vectors.shape == (1, 3)
    server.respond = lambda body, number: (400, {"error": {"message": "too long"}})
    with pytest.raises(ServiceLLMError, match=r"no vector .*400 too long.* the text 'dog'"):
        embed(["dog"])
    with pytest.raises(BadRequestError, match="too long"):
        embed(["dog"], model="another")
    assert len(server.bodies) == 4


def test_a_text_without_a_vector_is_named(embed, server):
    def respond(body, number):
        status, reply = vectors_of(body, number)
        return status, ({**reply, "data": []} if "data" in reply else {"embeddings": []})

    server.respond = respond
    with pytest.raises(ServiceLLMError, match=r"returned no vector \(refused\) for the text 'cat'"):
        embed(["cat"])


def test_an_error_in_a_200_is_that_error(embed, server):
    """https://openrouter.ai/docs/api/reference/errors-and-debugging"""
    overloaded = {"error": {"message": "Upstream overloaded", "code": 502}}
    server.respond = lambda body, number: (
        (200, overloaded) if number == 1 else vectors_of(body, number)
    )
    vectors, _ = embed(["cat"])
    assert vectors.tolist() == [VECTORS["cat"]]
    server.respond = lambda body, number: (200, {"error": {"message": "too long", "code": 400}})
    with pytest.raises(ServiceLLMError, match=r"no vector .*400 too long.* the text 'dog'"):
        embed(["dog"])
    assert len(server.bodies) == 3


def test_an_address_without_v1_is_told_with_the_path_of_embeddings(tmp_path, server):
    server.respond = lambda body, number: (404, b"404 page not found")
    settings = EmbedderSettings(provider="openai", model="local", base_url=server.url)
    with (
        open_service_llm(settings, journal_uri=str(tmp_path), component="c", round=1) as service,
        pytest.raises(BadRequestError, match=rf"{server.url}/embeddings: .*like {server.url}/v1"),
    ):
        Embedder(service, settings)(["cat"])


def test_vectors_of_different_sizes_are_refused(embed, server):
    def respond(body, number):
        status, reply = vectors_of(body, number)
        if text_of(body) == "cat":
            vector = [1.0]
            reply = (
                {**reply, "data": [{"object": "embedding", "index": 0, "embedding": vector}]}
                if "data" in reply
                else {"embeddings": [{"values": vector}]}
            )
        return status, reply

    server.respond = respond
    with pytest.raises(ServiceLLMError, match=r"vectors of \[1, 3\] numbers"):
        embed(["dog", "cat"])


def test_the_gemini_request_says_what_the_vectors_are_for(tmp_path, server):
    server.respond = vectors_of
    settings = EmbedderSettings(
        provider="gemini", model="gemini-embedding-001", base_url=server.url, dimensions=3
    )
    with open_service_llm(settings, journal_uri=str(tmp_path), component="c", round=1) as service:
        Embedder(service, settings)(["cat"])
    (request,) = server.bodies[0]["requests"]
    assert (request["taskType"], request["outputDimensionality"]) == ("SEMANTIC_SIMILARITY", 3)


def test_a_vector_survives_the_journal_bit_by_bit():
    values = np.array([0.1, -1e-30, 3e38, 0.0], np.float32)
    stored = Embedding.model_validate_json(Embedding.of(values.tolist()).model_dump_json())
    assert stored.values().tobytes() == values.tobytes()


@pytest.mark.parametrize(("name", "value"), [("batch", True), ("thinking", 0)])
def test_what_is_for_language_models_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} is for requests to a language model"):
        EmbedderSettings(provider="gemini", model="m", api_key_env="K", **{name: value})
