"""What a request asks for is read in both spellings that Google's servers take."""

import pytest

from serving.gateway.protocols.base import Route, StreamForm
from serving.gateway.protocols.gemini import Gemini

GEMINI = Gemini("gemini")
SCHEMA = {"type": "OBJECT", "properties": {"kind": {"type": "STRING"}}}
CAMEL = {
    "systemInstruction": {"parts": [{"text": "Sort it."}]},
    "contents": [
        {"role": "user", "parts": [{"text": "Hello"}]},
        {"role": "model", "parts": [{"text": "thinking", "thought": True}, {"text": "greeting"}]},
        {"parts": [{"text": "Where is"}, {"text": "my parcel?"}]},
    ],
    "generationConfig": {
        "responseMimeType": "application/json",
        "responseSchema": SCHEMA,
        "maxOutputTokens": 20,
        "stopSequences": ["END"],
        "thinkingConfig": {"thinkingBudget": 0},
    },
}
SNAKE = {
    "system_instruction": CAMEL["systemInstruction"],
    "contents": CAMEL["contents"],
    "generation_config": {
        "response_mime_type": "application/json",
        "response_schema": SCHEMA,
        "max_output_tokens": 20,
        "stop_sequences": ["END"],
        "thinking_config": {"thinkingBudget": 0},
    },
}


def read(body, stream=None):
    return GEMINI.read_request(body, Route(GEMINI, "models/gemini-x", stream))


@pytest.mark.parametrize("body", [CAMEL, SNAKE], ids=["camel", "snake"])
def test_all_that_a_request_asks_for(body):
    ask = read(body, StreamForm.SSE)
    assert (ask.model, ask.stream, ask.system) == ("models/gemini-x", StreamForm.SSE, "Sort it.")
    assert [(each.role, each.text) for each in ask.messages] == [
        ("user", "Hello"),
        ("assistant", "greeting"),
        ("user", "Where is\nmy parcel?"),
    ]
    assert (ask.beyond, ask.wants_json, ask.max_output_tokens) == ("", True, 20)
    assert (ask.stop, ask.thinking) == (("END",), '{"thinkingBudget": 0}')
    assert ask.schema["properties"]["kind"]["type"] == "string"


@pytest.mark.parametrize("name", ["responseMimeType", "response_mime_type"])
@pytest.mark.parametrize(
    ("mime_type", "wants_json"),
    [("application/json", True), ("text/plain", False), (None, False)],
)
def test_json_is_wanted_where_the_mime_type_says_so(name, mime_type, wants_json):
    body = {"contents": "Hello", "generationConfig": {name: mime_type}}
    assert read(body).wants_json is wants_json


def test_a_bare_text_asks_for_nothing_else():
    ask = read({"contents": "Hello"})
    assert [(each.role, each.text) for each in ask.messages] == [("user", "Hello")]
    assert (ask.system, ask.schema, ask.max_output_tokens, ask.stop) == ("", None, None, ())
    assert (ask.beyond, ask.wants_json, ask.thinking, ask.stream) == ("", False, "", None)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"tools": [{"functionDeclarations": [{"name": "find"}]}]}, "tools"),
        ({"cachedContent": "cachedContents/1"}, "cached_content"),
        ({"generationConfig": {"candidateCount": 2}}, "candidates"),
        ({"generationConfig": {"responseModalities": ["IMAGE"]}}, "modalities"),
        ({"generation_config": {"response_modalities": ["text", "AUDIO"]}}, "modalities"),
        ({"generationConfig": {"responseLogprobs": True}}, "logprobs"),
        ({"generationConfig": {"responseMimeType": "text/x.enum"}}, "mime_type"),
        ({"generationConfig": {"responseJsonSchema": "any"}}, "schema"),
        ({"generationConfig": {"responseSchema": "any"}}, "schema"),
        ({"contents": {"parts": [{"inline_data": {"data": "aGk="}}]}}, "images"),
        ({"contents": {"parts": [{"file_data": {"file_uri": "gs://b/f"}}]}}, "file_uri"),
        ({"contents": {"parts": [{"functionResponse": {}}]}}, "tools"),
    ],
)
def test_what_no_model_of_text_alone_can_do_is_named(change, why):
    assert read({"contents": "Hello"} | change).beyond == why
