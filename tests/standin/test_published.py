"""The stand-in refuses what the services' published types do not have, as the services do."""

import json
from pathlib import Path

import httpx
import pytest

from standin.errors import HttpError
from standin.published.google_types import check_google, load
from standin.published.openai_types import check_openai
from standin.server import serve
from tests.standin.bodies import answer_body

STUDIO = "generativelanguage_v1beta"
ASK = "GenerateContentRequest"
OBJECT = {"type": "OBJECT", "properties": {"a": {"type": "ARRAY", "items": {"type": "OBJECT"}}}}
CHAT = {"model": "stand-in", "messages": [{"role": "user", "content": "Hi"}]}


def gemini(**config):
    return {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "generationConfig": {"responseMimeType": "application/json", **config},
    }


def refused(body, api=STUDIO):
    with pytest.raises(HttpError) as raised:
        check_google(api, ASK, body)
    return raised.value


def test_every_data_file_names_its_source_and_date():
    files = sorted((Path(__file__).parents[2] / "standin" / "published").glob("*.json"))
    assert len(files) == 4
    for file in files:
        data = json.loads(file.read_text(encoding="utf-8"))
        assert data["source"].startswith("https://pypi.org/project/"), file
        assert data["date"] > "2026-01-01", file


def test_an_unknown_field_of_a_schema_is_answered_as_the_service_answers_it():
    """https://github.com/pickeld/pick-a-recipe/issues/29"""
    inner = {"type": "OBJECT", "properties": {"b": {"type": "STRING"}}}
    schema = {
        "type": "OBJECT",
        "properties": {
            "a": {"type": "ARRAY", "items": inner | {"additional_properties": False}},
        },
        "additional_properties": False,
    }
    error = refused(gemini(response_schema=schema))
    one = "generation_config.response_schema.properties[0].value.items"
    text = "Invalid JSON payload received. Unknown name \"additional_properties\" at '{}': Cannot find field."  # noqa: E501
    found = {violation["field"] for violation in error.details[0]["fieldViolations"]}
    assert found == {one, "generation_config.response_schema"}
    assert set(error.message.split("\n")) == {text.format(where) for where in found}
    assert (error.code, error.status) == (400, "INVALID_ARGUMENT")


def test_vertex_knows_the_field_that_the_developer_api_does_not():
    schema = {"type": "OBJECT", "properties": {"b": {"type": "STRING"}}}
    body = gemini(responseSchema=schema | {"additionalProperties": False})
    for version in ("v1", "v1beta1"):
        check_google(f"aiplatform_{version}", ASK, body)
    assert "additionalProperties" in refused(body).message


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"maxTokens": 5}, "Unknown name \"maxTokens\" at 'generation_config': Cannot find field"),
        ({"maxOutputTokens": "many"}, "Invalid value at 'generation_config.max_output_tokens'"),
        ({"temperature": 3}, "temperature must be in the range"),
        ({"responseSchema": {"type": "WORD"}}, "response_schema.type"),
        ({"responseSchema": {"type": "OBJECT"}}, "should be non-empty for OBJECT type"),
        ({"responseSchema": {"type": "ARRAY"}}, "items: missing field"),
        ({"responseSchema": {"type": "INTEGER", "enum": ["1"]}}, "only allowed for STRING type"),
        ({"responseSchema": {"type": "STRING", "required": ["a"]}}, "property is not defined"),
        ({"responseSchema": {"type": ["STRING", "NULL"]}}, "Proto field is not repeating"),
        ({"responseSchema": {"$ref": "#/$defs/A"}}, 'Unknown name "$ref"'),
        ({"responseSchema": {"type": "STRING"}, "responseMimeType": "text/plain"}, "mime_type"),
        ({"responseJsonSchema": {"type": "string", "pattern": "a"}}, "pattern: property is not"),
        ({"responseJsonSchema": {"$ref": "#/$defs/A", "title": "A"}}, "next to $ref"),
        (
            {"responseJsonSchema": {"type": "string"}, "responseSchema": {"type": "STRING"}},
            "cannot both be set",
        ),
        ({"thinkingConfig": {"thinkingBudget": 0, "thinkingLevel": "LOW"}}, "only one of"),
        ({"thinkingConfig": {"level": "LOW"}}, 'Unknown name "level"'),
    ],
    ids=lambda value: json.dumps(value)[:50] if isinstance(value, dict) else "",
)
def test_each_rule_of_a_request_is_held(config, words):
    assert words in refused(gemini(**config)).message


def test_an_unknown_field_at_the_top_has_no_place():
    error = refused(gemini() | {"config": {}})
    assert error.message == (
        'Invalid JSON payload received. Unknown name "config": Cannot find field.'
    )


@pytest.mark.parametrize(
    "config",
    [
        {"responseJsonSchema": {"type": "object", "properties": {}, "additionalProperties": False}},
        {"response_schema": {"type": "object", "properties": {"a": {"type": "string"}}}},
        {"maxOutputTokens": "512", "seed": 4, "temperature": 1, "stopSequences": ["x"]},
        {"thinkingConfig": {"thinkingLevel": "minimal"}},
        {"responseSchema": None},
    ],
    ids=lambda config: next(iter(config)),
)
def test_what_the_types_have_is_let_through_in_every_spelling(config):
    check_google(STUDIO, ASK, gemini(**config))


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"best_of": 2}, "best_of", "unknown_parameter"),
        ({"max_tokens": "many"}, "max_tokens", None),
        ({"messages": [{"role": "user"}]}, None, None),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, None, None),
        ({"reasoning_effort": "much"}, "reasoning_effort", None),
        (
            {"messages": [{"role": "user", "content": "Hi", "tone": "kind"}]},
            "messages.0.tone",
            "unknown_parameter",
        ),
    ],
    ids=["unknown", "type", "no content", "no name", "no such effort", "unknown inside"],
)
def test_openai_parameters_are_checked_as_published(changes, param, code):
    with pytest.raises(HttpError) as raised:
        check_openai("chat/completions", CHAT | changes)
    error = raised.value.openai()["error"]
    assert raised.value.code == 400
    assert error["type"] == "invalid_request_error"
    if param:
        assert param in error["param"]
    if code:
        assert error["code"] == code


@pytest.mark.unpublished
def test_the_server_refuses_in_the_form_of_each_protocol():
    with serve() as server:
        body = answer_body("Hi")
        body["generationConfig"]["responseSchema"]["additional_properties"] = False
        url = f"{server.url}/v1beta/models/stand-in:generateContent"
        google = httpx.post(url, json=body)
        openai = httpx.post(f"{server.url}/v1/chat/completions", json=CHAT | {"best_of": 2})
        assert server.stats()["bad_requests"] == 2
        assert server.stats()["answered"] == 0
    assert google.json()["error"]["details"][0]["@type"].endswith("google.rpc.BadRequest")
    assert openai.json()["error"]["param"] == "best_of"
    assert (google.status_code, openai.status_code) == (400, 400)


def test_vertex_takes_bearer_tokens_alone_until_they_expire():
    """https://github.com/pydantic/pydantic-ai/issues/1186"""
    path = "/projects/p/locations/global/publishers/google/models/stand-in:generateContent"
    with serve(token_requests=2) as server:

        def reasons(version, **headers):
            url = f"{server.url}/{version}{path}"
            response = httpx.post(url, json=answer_body("Hi"), headers=headers, timeout=60)
            details = response.json().get("error", {}).get("details", [{}])
            return response.status_code, details[0].get("reason")

        assert reasons("v1", **{"x-goog-api-key": "AIza"}) == (401, "CREDENTIALS_MISSING")
        for version in ("v1", "v1beta1"):
            assert reasons(version, Authorization="Bearer a") == (200, None)
        assert reasons("v1", Authorization="Bearer a") == (401, "ACCESS_TOKEN_EXPIRED")
        assert reasons("v1", Authorization="Bearer b") == (200, None)


VERTEX_PATH = "/v1beta1/projects/p/locations/global/publishers/google/models/stand-in"
CONTENT = {"parts": [{"text": "a"}]}


@pytest.mark.unpublished
@pytest.mark.parametrize(
    ("method", "body", "words"),
    [
        ("embedContent", {"content": CONTENT, "config": {}}, 'Unknown name "config"'),
        (
            "embedContent",
            {"content": CONTENT, "embedContentConfig": {"dimensions": 8}},
            "Unknown name \"dimensions\" at 'embed_content_config'",
        ),
        (
            "embedContent",
            {"content": CONTENT, "embedContentConfig": {"taskType": "A"}},
            "task_type",
        ),
        ("embedContent", {"embedContentConfig": {}}, "not a request for embeddings"),
        ("predict", {"instances": [{"text": "a"}]}, "Unknown name \"text\" at 'instances[0]'"),
        (
            "predict",
            {"instances": [{"content": "a"}], "parameters": {"dimensions": 8}},
            "Unknown name \"dimensions\" at 'parameters'",
        ),
        ("predict", {"instances": []}, "not a request for embeddings"),
    ],
    ids=["field", "inner field", "task type", "no content", "instance", "parameter", "none"],
)
def test_embeddings_of_vertex_are_checked_as_published(method, body, words):
    with serve() as server:
        headers = {"Authorization": "Bearer a"}
        response = httpx.post(f"{server.url}{VERTEX_PATH}:{method}", json=body, headers=headers)
    assert response.status_code == 400
    assert words in response.json()["error"]["message"]


@pytest.mark.unpublished
@pytest.mark.parametrize("path", ["/chat/completions", "/v1/v1/embeddings", "/v1/models/m:count"])
def test_a_path_that_is_not_published_is_not_found(path):
    with serve() as server:
        assert httpx.post(f"{server.url}{path}", json=CHAT).status_code == 404


def test_the_messages_that_requests_are_made_of_are_all_there():
    names = {"GenerateContentRequest", "GenerationConfig", "Schema", "Content", "Part"}
    for api in (STUDIO, "aiplatform_v1", "aiplatform_v1beta1"):
        messages = load(api)["messages"]
        assert names <= set(messages)
        assert {"responseSchema", "responseJsonSchema"} <= set(messages["GenerationConfig"])
