import asyncio
import json
import subprocess
import sys

import httpx
import openai
import pydantic
import pytest
from google import genai
from google.genai import errors, types

from standin.server import serve
from tests.standin.bodies import SCHEMAS, answer_body, block, body, post, prompts_body, told

MESSAGE = "My Nimbus Cam goes black after sunset since the update."
LABEL = {"category": "defect", "priority": "normal", "product": "Nimbus Cam"}


class Answer(pydantic.BaseModel):
    output: str


def prompt_of(request):
    return request["contents"][0]["parts"][0]["text"]


def client(server):
    options = types.HttpOptions(
        base_url=server.url, retry_options=types.HttpRetryOptions(attempts=1)
    )
    return genai.Client(vertexai=False, api_key="none", http_options=options)


def ask(server, request, model="stand-in-demo"):
    config = types.GenerateContentConfig(
        response_mime_type="application/json", response_schema=Answer, seed=1, temperature=0.2
    )
    with client(server) as llm:
        return llm.models.generate_content(model=model, contents=prompt_of(request), config=config)


def test_the_gemini_client_reads_text_usage_finish_and_version(server):
    response = ask(server, answer_body(MESSAGE))
    assert json.loads(response.parsed.output) == LABEL
    assert response.candidates[0].finish_reason is types.FinishReason.STOP
    assert response.model_version == "stand-in-1"
    usage = response.usage_metadata
    assert usage.prompt_token_count > usage.candidates_token_count > 0
    assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count


def test_the_output_has_exactly_the_form_of_the_task(server):
    reply = told(post(server, answer_body(MESSAGE)))
    assert reply == {"output": json.dumps(LABEL)}


def test_the_openai_client_gets_the_same_answer(server):
    llm = openai.OpenAI(api_key="none", base_url=f"{server.url}/v1", max_retries=0)
    completion = llm.chat.completions.create(
        model="stand-in-demo",
        messages=[{"role": "user", "content": prompt_of(answer_body(MESSAGE))}],
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "Answer", "schema": Answer.model_json_schema()},
        },
    )
    assert json.loads(json.loads(completion.choices[0].message.content)["output"]) == LABEL
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage.total_tokens > completion.usage.completion_tokens > 0


@pytest.mark.parametrize("kind", ["attributes", "prompts"])
def test_replies_have_the_fields_that_were_asked_for(server, kind):
    request = body("attributes") if kind == "attributes" else prompts_body(5)
    reply = told(post(server, request))
    assert list(reply) == SCHEMAS[kind]
    if kind == "attributes":
        assert all(isinstance(text, str) and text for values in reply.values() for text in values)
    else:
        assert [proposed["number"] for proposed in reply["messages"]] == [1, 2, 3, 4, 5]
        assert len({proposed["message"] for proposed in reply["messages"]}) == 5


def test_proposed_languages_are_those_of_the_examples(server):
    german = '"Bitte, wann kommt das Paket? Ich habe nicht ..." => {}'
    assert told(post(server, body("attributes")))["language"] == ["English"]
    with_german = told(post(server, body("attributes", block("examples", german))))
    assert with_german["language"] == ["English", "German"]


@pytest.mark.unpublished
@pytest.mark.parametrize(
    ("prompt_task", "what"), [("poetry", "'poetry'"), ("support_triage_2", "'support_triage_2'")]
)
def test_another_task_is_refused_with_what_to_configure(server, prompt_task, what):
    request = body("answer", block("message", "Hi"), task=prompt_task)
    with pytest.raises(errors.ClientError) as raised:
        ask(server, request)
    assert raised.value.code == 400
    assert raised.value.status == "INVALID_ARGUMENT"
    for word in (what, "only the demonstration task", "gemini-vertex", "openai-compatible"):
        assert word in raised.value.message


@pytest.mark.unpublished
@pytest.mark.parametrize(
    "request_body",
    [
        {},
        {"contents": 3},
        {"contents": [{"parts": [{"text": "Hi"}]}]},
        body("answer"),
        body("prompts", block("plan", "no JSON")),
        body("score", block("prompt", "x")),
    ],
    ids=["empty", "wrong type", "no task", "no message", "broken plan", "no output"],
)
def test_an_unreadable_request_is_a_bad_request(server, request_body):
    response = post(server, request_body)
    assert response.status_code == 400
    assert response.json()["error"]["status"] == "INVALID_ARGUMENT"


@pytest.mark.unpublished
def test_models_and_paths_that_are_not_there_are_not_found(server):
    assert post(server, answer_body("Hi"), model="gemini-flash").status_code == 404
    assert httpx.post(f"{server.url}/v2/else", json={}).status_code == 404


def test_max_output_tokens_cuts_the_reply(server):
    response = post(server, prompts_body(8, maxOutputTokens=10)).json()
    candidate = response["candidates"][0]
    assert candidate["finishReason"] == "MAX_TOKENS"
    assert len(candidate["content"]["parts"][0]["text"]) == 40
    assert response["usageMetadata"]["candidatesTokenCount"] == 10


def test_requests_are_counted_by_kind_and_recorded(tmp_path):
    record = tmp_path / "requests.jsonl"
    requests = [answer_body("Hi"), prompts_body(2), answer_body("Ho")]
    with serve(record_file=record) as server:
        for request in requests:
            post(server, request)
        stats = server.stats()
    assert (stats["requests"], stats["answered"]) == (3, 3)
    assert stats["by_kind"] == {"answer": 2, "prompts": 1}
    assert stats["prompt_tokens"] > 0
    assert [json.loads(line) for line in record.read_text().splitlines()] == requests


def test_many_clients_at_once_are_all_answered():
    async def send(server):
        limits = httpx.Limits(max_connections=64)
        async with httpx.AsyncClient(limits=limits, timeout=60) as http:
            url = f"{server.url}/v1beta/models/stand-in:generateContent"
            sends = [http.post(url, json=answer_body(f"Hello {n}")) for n in range(300)]
            return await asyncio.gather(*sends)

    with serve() as server:
        responses = asyncio.run(send(server))
        assert {response.status_code for response in responses} == {200}
        assert server.stats()["answered"] == 300


def test_a_port_in_use_is_told_in_one_line_and_exit_status_2(server):
    port = server.url.rpartition(":")[2]
    done = subprocess.run(
        [sys.executable, "-m", "standin", "--port", port],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: cannot listen on port {port}")
    assert len(done.stderr.splitlines()) == 1


def test_an_unknown_fault_is_told_in_one_line_and_exit_status_2():
    done = subprocess.run(
        [sys.executable, "-m", "standin", "--port", "0", "--faults", "fire=0.1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "unknown fault 'fire'" in done.stderr


def test_the_process_serves_until_it_is_told_to_stop():
    arguments = [sys.executable, "-m", "standin", "--port", "0"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().split()[-1]
        assert httpx.get(url, timeout=60).json()["model"] == "stand-in-1"
        process.terminate()
        assert process.wait(timeout=60) == 0
