"""The stand-in as an application's service: the real clients read its answers."""

import json

import httpx
import openai
import pytest
from google import genai
from google.genai import errors, types

from standin.application import serve

INSTRUCTION = "You triage the messages that customers send to the support of Lumo Home."
MESSAGE = "My Nimbus Cam goes black after sunset since the update."
LABEL = {"category": "defect", "priority": "normal", "product": "Nimbus Cam"}
CONFIG = types.GenerateContentConfig(system_instruction=INSTRUCTION)


@pytest.fixture(scope="module")
def server():
    with serve() as running:
        yield running


@pytest.fixture
def gemini(server):
    options = types.HttpOptions(base_url=server.url)
    with genai.Client(vertexai=False, api_key="none", http_options=options) as client:
        yield client


@pytest.fixture
def chat(server):
    client = openai.OpenAI(api_key="none", base_url=f"{server.url}/v1beta/openai", max_retries=0)
    messages = [
        {"role": "system", "content": INSTRUCTION},
        {"role": "user", "content": MESSAGE},
    ]
    return lambda **options: client.chat.completions.create(
        model="stand-in-demo", messages=messages, **options
    )


def test_gemini_answers_whole(gemini):
    answer = gemini.models.generate_content(model="stand-in-demo", contents=MESSAGE, config=CONFIG)
    assert json.loads(answer.text) == LABEL
    assert answer.candidates[0].finish_reason is types.FinishReason.STOP


def test_gemini_streams_and_ends_with_a_finish_reason(gemini):
    chunks = list(
        gemini.models.generate_content_stream(
            model="stand-in-demo", contents=MESSAGE, config=CONFIG
        )
    )
    assert len(chunks) > 1
    assert json.loads("".join(chunk.text for chunk in chunks)) == LABEL
    assert chunks[-1].candidates[0].finish_reason is types.FinishReason.STOP


def test_openai_answers_whole(chat):
    assert json.loads(chat().choices[0].message.content) == LABEL


def test_openai_streams_and_ends_with_a_finish_reason(chat):
    choices = [chunk.choices[0] for chunk in chat(stream=True)]
    assert json.loads("".join(choice.delta.content or "" for choice in choices)) == LABEL
    assert choices[-1].finish_reason == "stop"


@pytest.mark.unpublished
def test_another_task_is_refused(gemini):
    config = types.GenerateContentConfig(system_instruction="Translate.")
    with pytest.raises(errors.ClientError, match="knows only the demonstration task"):
        gemini.models.generate_content(model="stand-in-demo", contents=MESSAGE, config=config)


@pytest.mark.unpublished
@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_vertex_ai_is_asked_by_its_own_paths_and_types(server, version):
    place = f"{version}/projects/p/locations/us-central1/publishers/google"
    body = {
        "systemInstruction": {"parts": [{"text": INSTRUCTION}]},
        "contents": [{"role": "user", "parts": [{"text": MESSAGE}]}],
    }
    asked = f"{server.url}/{place}/models/stand-in-demo:generateContent"
    answer = httpx.post(asked, json=body).json()
    assert json.loads(answer["candidates"][0]["content"]["parts"][0]["text"]) == LABEL
    labelled = {**body, "labels": {"team": "support"}}  # which Google AI Studio does not know
    assert httpx.post(asked, json=labelled).status_code == 200
    assert httpx.post(asked, json={**body, "bogus": 1}).status_code == 400


@pytest.mark.unpublished
def test_requests_of_both_protocols_are_checked_as_published(server):
    google = httpx.post(
        f"{server.url}/v1beta/models/stand-in:streamGenerateContent",
        json={"contents": [{"role": "user", "parts": [{"text": MESSAGE}]}], "bogus": 1},
    )
    messages = [{"role": "user", "content": MESSAGE}]
    chat = {"model": "stand-in", "messages": messages, "best_of": 2}
    refused = httpx.post(f"{server.url}/v1/chat/completions", json=chat)
    assert (google.status_code, refused.status_code) == (400, 400)
    assert 'Unknown name "bogus"' in google.json()["error"]["message"]
    assert refused.json()["error"]["param"] == "best_of"
