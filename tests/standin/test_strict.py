"""Every part of a request is checked: inner messages, schemas, bounds, files and both servers."""

import json

import httpx
import pytest

from standin.errors import HttpError
from standin.published.google_types import check_google
from standin.published.openai_types import check_openai
from standin.server import serve
from tests.published import refusal_of
from tests.standin.bodies import answer_body
from tests.standin.test_batches import upload

USER = {"role": "user", "parts": [{"text": "Hi"}]}
CHAT = {"model": "stand-in", "messages": [{"role": "user", "content": "Hi"}]}


def check(api="generativelanguage_v1beta", **changes):
    check_google(api, "GenerateContentRequest", {"contents": [USER], **changes})


def told(**changes):
    with pytest.raises(HttpError) as raised:
        check(**changes)
    assert raised.value.code == 400
    return raised.value.message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tools": [{"bogus": 1}]}, "Unknown name \"bogus\" at 'tools[0]'"),
        (
            {"tools": [{"functionDeclarations": [{"nam": "f"}]}]},
            "Unknown name \"nam\" at 'tools[0].function_declarations[0]'",
        ),
        ({"safetySettings": [{"bogus": 1}]}, "Unknown name \"bogus\" at 'safety_settings[0]'"),
        ({"toolConfig": {"bogus": 1}}, "Unknown name \"bogus\" at 'tool_config'"),
        (
            {"generationConfig": {"speechConfig": {"bogus": 1}}},
            "Unknown name \"bogus\" at 'generation_config.speech_config'",
        ),
        (
            {"contents": [{"parts": [{"inlineData": {"bogus": 1}}]}]},
            "Unknown name \"bogus\" at 'contents[0].parts[0].inline_data'",
        ),
    ],
    ids=["tool", "function", "safety setting", "tool config", "speech config", "inline data"],
)
@pytest.mark.parametrize("api", ["generativelanguage_v1beta", "aiplatform_v1"])
def test_an_unknown_field_of_an_inner_message_is_refused(api, changes, words):
    assert words in told(api=api, **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"contents": [USER | {"role": "system"}]}, "Please use a valid role: user, model"),
        ({"contents": [{"role": "user"}]}, "contents.parts must not be empty"),
        ({"contents": [{"parts": [{}]}]}, "required oneof field 'data'"),
        ({"contents": [{"parts": [{"text": "a", "fileData": {}}]}]}, "oneof field 'data'"),
        ({"contents": [{"parts": [{"inlineData": {"data": "?"}}]}]}, "TYPE_BYTES"),
    ],
    ids=["role", "no parts", "no data", "two kinds of data", "no base64"],
)
def test_contents_are_of_the_published_form(changes, words):
    assert words in told(**changes)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"seed": 99999999999}, "TYPE_INT32"),
        ({"seed": 10**400}, "TYPE_INT32"),
        ({"seed": "99999999999"}, "TYPE_INT32"),
        ({"seed": True}, "TYPE_INT32"),
        ({"maxOutputTokens": 0}, "max_output_tokens must be in the range"),
        ({"topP": 1.5}, "top_p must be in the range"),
        ({"candidateCount": 9}, "candidate_count must be in the range"),
        ({"stopSequences": list("abcdef")}, "only up to 5"),
        ({"responseMimeType": "text/html"}, "allowed mimetypes are"),
        ({"thinkingConfig": {"thinkingLevel": 7}}, "ThinkingLevel"),
        ({"thinkingConfig": {"thinkingLevel": True}}, "ThinkingLevel"),
    ],
    ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict) else "",
)
def test_a_value_beyond_its_bounds_is_refused(config, words):
    assert words in told(generationConfig=config)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (
            {"type": "object", "additionalProperties": {"type": "string", "pattern": "a"}},
            "additionalProperties.pattern: property is not supported",
        ),
        ({"type": 5}, "type: value has the wrong type"),
        ({"type": "word"}, "there is no type 'word'"),
        ({"type": ["string", {}]}, "there is no type {}"),
        ({"$ref": "#/$defs/A"}, "there is no '#/$defs/A'"),
        ({"type": "object", "properties": 5}, "properties: value has the wrong type"),
        ({"type": "array", "items": 5}, "items: value has the wrong type"),
        ({"type": "object", "required": [5]}, "5 is not a name"),
        ({"anyOf": ["string"]}, "anyOf[0]: must be a schema"),
        ([], "must be an object"),
    ],
    ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict | list) else "",
)
def test_a_json_schema_is_read_to_its_end(schema, words):
    config = {"responseMimeType": "application/json", "responseJsonSchema": schema}
    assert words in told(generationConfig=config)


def test_what_is_within_the_bounds_is_let_through():
    tree = {
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}},
    }
    schema = {"$ref": "#/$defs/Tree", "$defs": {"Tree": tree}}
    config = {"responseMimeType": "application/json", "responseJsonSchema": schema}
    call = {"functionCall": {"name": "f", "args": {"any": ["thing"]}}}
    check(
        contents=[USER, {"role": "model", "parts": [call]}],
        tools=[{"googleSearch": {}}, {"functionDeclarations": [{"name": "f"}]}],
        generationConfig=config | {"seed": -(2**31), "thinkingConfig": {"thinkingLevel": 2}},
    )
    check_openai("chat/completions", CHAT | {"temperature": 2, "n": 1, "stream": True})


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"temperature": 5}, "temperature", "integer_above_max_value"),
        ({"top_p": -0.5}, "top_p", "decimal_below_min_value"),
        ({"max_tokens": -1}, "max_tokens", "integer_below_min_value"),
        ({"n": 0}, "n", "integer_below_min_value"),
        ({"stop": list("abcde")}, "stop", "invalid_value"),
        ({"messages": []}, "messages", "invalid_value"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a b"}}},
            "response_format.json_schema.name",
            "invalid_value",
        ),
    ],
    ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict) else "",
)
def test_openais_bounds_are_held(changes, param, code):
    with pytest.raises(HttpError) as raised:
        check_openai("chat/completions", CHAT | changes)
    assert (raised.value.param, raised.value.reason) == (param, code)


@pytest.mark.unpublished
def test_files_and_their_lines_are_checked():
    line = {"key": "a", "bogus": 3, "request": answer_body("Hi")}
    with serve() as server:
        headers = {"X-Goog-Upload-Protocol": "resumable", "X-Goog-Upload-Command": "start"}
        url = f"{server.url}/upload/v1beta/files"
        begun = httpx.post(url, headers=headers, json={"bogus": 1})
        name = upload(server.url, json.dumps(line).encode())
        job = httpx.post(
            f"{server.url}/v1beta/models/stand-in:batchGenerateContent",
            json={"batch": {"inputConfig": {"fileName": name}}},
        )
    assert (begun.status_code, job.status_code) == (400, 400)
    assert 'Unknown name "bogus"' in begun.json()["error"]["message"]
    assert "there is no field 'bogus'" in job.json()["error"]["message"]


@pytest.mark.unpublished
def test_the_stand_in_says_that_it_does_not_stream():
    with serve() as server:
        reply = httpx.post(f"{server.url}/v1/chat/completions", json=CHAT | {"stream": True})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "stream")


@pytest.mark.parametrize(
    "path", ["/chat/completions", "/openai/v1/chat/completions", "/v1beta/openai/chat/completions"]
)
def test_the_tests_own_servers_check_whatever_stands_before_a_path(path):
    assert refusal_of(path, json.dumps(CHAT).encode()) is None
    assert "best_of" in refusal_of(path, json.dumps(CHAT | {"best_of": 2}).encode())


@pytest.mark.parametrize("path", ["/v1/completions", "/v1beta/models/m:guess", "/"])
def test_the_tests_own_servers_know_no_other_path(path):
    assert "no service publishes" in refusal_of(path, b"{}")
