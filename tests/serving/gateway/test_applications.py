"""Applications with the real clients, and what each answer says of who gave it."""

import asyncio
import json
import pathlib

import httpx
import openai
import pytest
from google import genai
from google.genai import types

from tests.serving.gateway import fakes
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    INSTRUCTION,
    KEY,
    MODEL_TEXT,
    PROMPT,
    SERVICE_TEXT,
    gemini_request,
    openai_request,
)
from tests.serving.gateway.test_passthrough import echo

VERTEX = "/v1/projects/p-1/locations/europe-west4/publishers/google/models/gemini-x"


@pytest.mark.parametrize("version", ["v1", "v1beta"])
@pytest.mark.parametrize("stream", [False, True])
def test_google_genai_works_with_either_version(well, version, stream):
    client = well.gemini(api_version=version)
    config = types.GenerateContentConfig(system_instruction=INSTRUCTION)
    arguments = {"model": "gemini-x", "contents": PROMPT, "config": config}
    if stream:
        text = "".join(p.text for p in client.models.generate_content_stream(**arguments))
    else:
        text = client.models.generate_content(**arguments).text
    assert text == SERVICE_TEXT
    assert well.service.received[0].target.startswith(f"/{version}/models/gemini-x:")
    assert well.service.received[0].header("x-goog-api-key") == KEY


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("down", [False, True])
def test_the_asynchronous_clients_work_too(well, stream, down):
    if down:
        well.service.behavior = fakes.unavailable
    text = MODEL_TEXT if down else SERVICE_TEXT

    async def ask_gemini() -> str:
        client = well.gemini().aio
        config = types.GenerateContentConfig(system_instruction=INSTRUCTION)
        arguments = {"model": "gemini-x", "contents": PROMPT, "config": config}
        try:
            if not stream:
                return (await client.models.generate_content(**arguments)).text
            parts = await client.models.generate_content_stream(**arguments)
            return "".join([part.text or "" async for part in parts])
        finally:
            await client.aclose()

    async def ask_openai() -> str:
        messages = openai_request()["messages"]
        async with openai.AsyncOpenAI(
            base_url=f"{well.url}/v1", api_key=KEY, max_retries=0
        ) as client:
            create = client.chat.completions.create
            if not stream:
                answer = await create(model="gemini-x", messages=messages)
                return answer.choices[0].message.content
            parts = await create(model="gemini-x", messages=messages, stream=True)
            return "".join([c.choices[0].delta.content or "" async for c in parts if c.choices])

    assert asyncio.run(ask_gemini()) == text
    assert asyncio.run(ask_openai()) == text


@pytest.mark.parametrize("down", [False, True])
def test_structured_output_works(well, down):
    from pydantic import BaseModel

    class Sorted(BaseModel):
        category: str

    if down:
        well.service.behavior = fakes.unavailable
        well.model.behavior = fakes.model('{"category": "billing"}')
    config = types.GenerateContentConfig(
        system_instruction=INSTRUCTION,
        response_mime_type="application/json",
        response_schema=Sorted,
    )
    client = well.gemini()
    found = client.models.generate_content(model="gemini-x", contents=PROMPT, config=config)
    assert found.parsed == Sorted(category="billing")
    parsed = well.openai().chat.completions.parse(
        model="gemini-x", messages=openai_request()["messages"], response_format=Sorted
    )
    assert parsed.choices[0].message.parsed == Sorted(category="billing")


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("path", [VERTEX, VERTEX.replace("/v1/", "/v1beta1/")])
def test_vertex_paths_with_bearer_tokens(well, path, down):
    if down:
        well.service.behavior = fakes.unavailable
    answer = httpx.post(
        f"{well.url}{path}:streamGenerateContent?alt=sse",
        json=gemini_request(),
        headers={"authorization": "Bearer ya29.token"},
    )
    assert answer.headers["x-understudy-served-by"] == ("model" if down else "service")
    events = [json.loads(line[6:]) for line in answer.text.split("\r\n\r\n") if line]
    text = "".join(event["candidates"][0]["content"]["parts"][0]["text"] for event in events)
    assert text == (MODEL_TEXT if down else SERVICE_TEXT)
    [seen] = well.service.received
    assert seen.target == f"{path}:streamGenerateContent?alt=sse"
    assert seen.header("authorization") == "Bearer ya29.token"
    well.wait_until(lambda: [it.protocol for it in well.exchanges] == ["vertex"])


def test_openais_protocol_goes_to_geminis_own_endpoint_for_it(well):
    assert well.ask("openai", stream=False) == SERVICE_TEXT
    well.service.behavior = echo(b'{"object": "list", "data": []}')
    assert list(well.openai().models.list()) == []
    assert [seen.target for seen in well.service.received] == [
        "/v1beta/openai/chat/completions",
        "/v1beta/openai/models",
    ]
    well.forget()
    httpx.get(f"{well.url}/v1/models", headers={"x-goog-api-key": KEY})
    well.post("/v1beta/openai/chat/completions", openai_request())
    assert [seen.target for seen in well.service.received] == [
        "/v1/models",
        "/v1beta/openai/chat/completions",
    ]


def test_google_genai_for_vertex_is_told_which_setting_it_lacks(well, monkeypatch):
    for name in ("GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    options = types.HttpOptions(base_url=well.url, headers={"Authorization": "Bearer t"})
    client = genai.Client(vertexai=True, http_options=options)
    with pytest.raises(genai.errors.ClientError, match="project=PROJECT, location=LOCATION"):
        client.models.generate_content(model="gemini-x", contents=PROMPT)
    assert well.service.received == []


def test_google_genai_for_vertex_works_with_that_setting(well):
    import google.auth.credentials

    class Token(google.auth.credentials.Credentials):
        def refresh(self, request):
            self.token = "ya29.token"

    client = genai.Client(
        vertexai=True,
        project="p-1",
        location="europe-west4",
        credentials=Token(),
        http_options=types.HttpOptions(base_url=well.url),
    )
    config = types.GenerateContentConfig(system_instruction=INSTRUCTION)
    for behavior, text in [
        (fakes.healthy(SERVICE_TEXT), SERVICE_TEXT),
        (fakes.unavailable, MODEL_TEXT),
    ]:
        well.service.behavior = behavior
        answer = client.models.generate_content(model="gemini-x", contents=PROMPT, config=config)
        assert answer.text == text
    assert answer.model_version == "triage/round-3@1f2e3d4c"


def test_who_answered_is_said_in_headers_and_body(well):
    well.service.behavior = fakes.unavailable
    answer = well.post(GEMINI_PATH, gemini_request())
    assert answer.headers["x-understudy-served-by"] == "model"
    assert answer.headers["x-understudy-reason"] == "F6"
    assert answer.headers["x-understudy-model"] == "triage/round-3@1f2e3d4c"
    assert answer.json()["modelVersion"] == "triage/round-3@1f2e3d4c"
    assert answer.json()["usageMetadata"]["promptTokenCount"] == fakes.count_words([PROMPT])
    answer = well.post("/v1/chat/completions", openai_request())
    assert answer.json()["model"] == "triage/round-3@1f2e3d4c"
    with_usage = openai_request(stream=True, stream_options={"include_usage": True})
    events = well.post("/v1/chat/completions", with_usage).text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    assert json.loads(events[-3][6:])["usage"]["completion_tokens"] == 3


def test_a_request_may_refuse_the_tuned_model(well):
    well.service.behavior = fakes.unavailable
    answer = well.post(GEMINI_PATH, gemini_request(), x_understudy_fallback="off")
    assert answer.status_code == 503
    assert answer.json() == {"error": {"code": 503, "status": "UNAVAILABLE"}}
    assert answer.headers["x-understudy-served-by"] == "service"
    assert answer.headers["x-understudy-reason"] == "off"
    assert well.model.received == []


@pytest.mark.parametrize(
    ("reason", "why", "path", "body"),
    [
        ("system", "accepted ones", GEMINI_PATH, gemini_request(system="Write a poem.")),
        ("system", "accepted ones", "/v1/chat/completions", openai_request(system="A poem.")),
        ("too_long", "longer than", GEMINI_PATH, gemini_request(prompt="word " * 600)),
    ],
)
def test_what_is_not_of_the_task_gets_503_with_the_reason(well, reason, why, path, body):
    before = httpx.get(f"{well.url}/understudy/metrics").text
    well.service.behavior = fakes.unavailable
    answer = well.post(path, body)
    assert answer.status_code == 503
    message = answer.json()["error"]["message"]
    assert "The service answered 503" in message
    assert why in message
    assert answer.headers["x-understudy-reason"] == f"unmatched:{reason}"
    assert well.model.received == []
    after = httpx.get(f"{well.url}/understudy/metrics").text
    assert counted(after, reason) == counted(before, reason) + 1


def counted(metrics: str, reason: str) -> float:
    line = f'understudy_unmatched_total{{reason="{reason}"}} '
    found = [row.removeprefix(line) for row in metrics.splitlines() if row.startswith(line)]
    return float(found[0]) if found else 0.0


def test_the_services_own_refusal_of_what_is_not_of_the_task_is_passed_on(well):
    async def quota(request, reply):
        await reply.whole(b'{"error": {"code": 429}}', 429, Retry_After="9")

    well.service.behavior = quota
    answer = well.post(GEMINI_PATH, gemini_request(system="Write a poem."))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "9")


def test_keys_appear_nowhere(servers, tmp_path, capfd):
    servers.key = "a-secret-in-a-header"
    servers.start(state_dir=tmp_path)
    secrets = [servers.key, "a-secret-in-the-query", "a-secret-token"]
    for behavior in (fakes.healthy(SERVICE_TEXT), fakes.unavailable, reset):
        servers.service.behavior = behavior
        contents = gemini_request()["contents"]
        for path, body in (
            (GEMINI_PATH, gemini_request()),
            ("/v1beta/models/x:embedContent", {"content": contents[0]}),
            ("/v1beta/models/x:countTokens", {"contents": contents}),
        ):
            servers.post(f"{path}?key={secrets[1]}", body)
            httpx.post(
                f"{servers.url}{path}",
                json=body,
                headers={"authorization": f"Bearer {secrets[2]}"},
            )
    assert any(f"key={secrets[1]}" in seen.target for seen in servers.service.received)
    seen = [
        httpx.get(f"{servers.url}/understudy/{page}").text for page in ("", "metrics", "status")
    ]
    seen += [file.read_text() for file in pathlib.Path(tmp_path).rglob("*") if file.is_file()]
    seen += [*capfd.readouterr(), repr(servers.exchanges)]
    assert len(seen) > 6
    assert [secret for secret in secrets for text in seen if secret in text] == []


async def reset(request, reply):
    reply.reset()
