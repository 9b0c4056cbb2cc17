"""The stand-in's embeddings, asked through the clients of Google and OpenAI."""

import httpx
import numpy as np
import openai
import pytest
from google import genai
from google.genai import types

TEXTS = ["The kettle leaks.", "the  KETTLE leaks.", "Where is my parcel?"]


def by_gemini(server, dimensions):
    options = types.HttpOptions(base_url=server.url)
    with genai.Client(vertexai=False, api_key="none", http_options=options) as client:
        response = client.models.embed_content(
            model="stand-in-embedding",
            contents=TEXTS,
            config=types.EmbedContentConfig(output_dimensionality=dimensions),
        )
    return [embedding.values for embedding in response.embeddings]


def by_openai(server, dimensions):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
        options = {"dimensions": dimensions} if dimensions else {}
        response = client.embeddings.create(
            model="stand-in-embedding", input=TEXTS, encoding_format="float", **options
        )
    assert response.usage.prompt_tokens > 0
    return [item.embedding for item in response.data]


@pytest.mark.parametrize("dimensions", [None, 32])
@pytest.mark.parametrize("ask", [by_gemini, by_openai])
def test_vectors_show_which_texts_share_their_letters(server, ask, dimensions):
    vectors = np.array(ask(server, dimensions))
    assert vectors.shape == (3, dimensions or 256)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1)
    assert vectors[0] @ vectors[1] == pytest.approx(1)
    assert vectors[0] @ vectors[2] < 0.6


def test_both_protocols_give_the_same_vectors(server):
    np.testing.assert_allclose(by_gemini(server, 16), by_openai(server, 16))


@pytest.mark.unpublished
@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/embeddings", {"model": "text-embedding-3-small", "input": ["a"]}, 404),
        ("/v1/embeddings", {"model": "stand-in-embedding"}, 400),
        ("/v1beta/models/stand-in-embedding:batchEmbedContents", {"requests": []}, 400),
    ],
    ids=["another-model", "no-input", "no-request"],
)
def test_what_cannot_be_embedded_is_refused(server, path, body, status):
    assert httpx.post(f"{server.url}{path}", json=body).status_code == status


_TEXT = {"parts": [{"text": "a"}]}
_ONE = {"model": "models/stand-in-embedding", "content": _TEXT}
_PLACE = "/v1beta1/projects/team/locations/global/publishers/google/models/stand-in-embedding"


@pytest.mark.unpublished
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1beta/models/stand-in-embedding:batchEmbedContents", {"requests": [_ONE], "bogus": 1}),
        (
            "/v1beta/models/stand-in-embedding:batchEmbedContents",
            {"requests": [_ONE, _ONE | {"bogus": 1}]},
        ),
        (
            "/v1beta/models/stand-in-embedding:batchEmbedContents",
            {"requests": [_ONE | {"content": {"parts": [{"text": "a", "bogus": 1}]}}]},
        ),
        (f"{_PLACE}:embedContent", {"content": _TEXT, "bogus": 1}),
        (f"{_PLACE}:predict", {"instances": [{"content": "a", "bogus": 1}]}),
        ("/v1/embeddings", {"model": "stand-in-embedding", "input": ["a"], "bogus": 1}),
    ],
    ids=["request", "one of a batch", "a part", "Vertex AI, one", "Vertex AI, predict", "OpenAI"],
)
def test_an_unknown_field_is_refused_by_its_name(server, path, body):
    refused = httpx.post(f"{server.url}{path}", json=body, headers={"Authorization": "Bearer t"})
    assert refused.status_code == 400
    assert "bogus" in refused.json()["error"]["message"]
