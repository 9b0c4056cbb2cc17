"""The provider of OpenAI-compatible endpoints over real HTTP."""

import pytest

from components.service_llm.errors import AuthenticationError, BadRequestError, UnreachableError
from components.service_llm.types import Request, Usage
from tests.components.service_llm.conftest import Word, Words


def completion(text, finish="stop"):
    return 200, {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "local-1",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": text},
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }


@pytest.fixture
def ask_openai(ask, server):
    def ask_openai(requests, **changes):
        values = {"provider": "openai", "model": "local", "base_url": f"{server.url}/v1"}
        return ask(requests, **values | changes)

    return ask_openai


def test_a_reply_is_a_value_of_the_schema(ask_openai, server):
    server.respond = lambda body, number: completion('{"word": "a"}')
    (result,), usage = ask_openai([Request("word", Word, system="be brief", temperature=0.3)])
    assert result.value == Word(word="a")
    assert usage == Usage(1, 7, 3, None)
    body = server.bodies[0]
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert body["temperature"] == 0.3
    assert set(body["response_format"]["json_schema"]["schema"]["properties"]) == {"word"}


def test_why_a_reply_ended(ask_openai, server):
    server.respond = lambda body, number: completion('{"words": ["a", "b', "length")
    (result,), _ = ask_openai([Request("words", Words)])
    assert (result.value, result.error) == (Words(words=["a"]), "truncated")
    server.respond = lambda body, number: completion("", "content_filter")
    (result,), _ = ask_openai([Request("word", Word)])
    assert result.error == "refused"


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, AuthenticationError), (400, BadRequestError), (503, UnreachableError)],
)
def test_errors(ask_openai, server, status, error):
    server.respond = lambda body, number: (status, {"error": {"message": "no"}})
    with pytest.raises(error):
        ask_openai([Request("word", Word)], max_attempts=2)
    assert len(server.bodies) == (2 if status == 503 else 1)


def test_a_quota_error_is_waited_for(ask_openai, server):
    server.respond = lambda body, number: (
        (429, {"error": {"message": "slow down"}}) if number == 1 else completion('{"word": "a"}')
    )
    (result,), _ = ask_openai([Request("word", Word)])
    assert result.value == Word(word="a")
