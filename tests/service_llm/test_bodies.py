"""What stands in a 200 in place of a reply: errors by name, pages, streams, and other texts."""

import json
import re

import pytest

from service_llm.errors import (
    AuthenticationError,
    BadRequestError,
    CreditError,
    QuotaError,
    ServiceLLMError,
    TransientError,
    UnreachableError,
)
from service_llm.probe import Probe, send_probes
from service_llm.refusals import error_in_reply
from service_llm.settings import EmbedderSettings
from service_llm.statuses import status_named
from service_llm.types import Request
from tests.service_llm.conftest import GOOD, PROVIDERS, Word, openai_reply, words
from tests.service_llm.test_http import send


def named(**error):
    return {"error": {"message": "As I say.", **error}}


KINDS = {
    # https://platform.claude.com/docs/en/api/errors
    "authentication_error": (
        {"type": "error", **named(type="authentication_error")}, AuthenticationError, 401,
    ),
    "permission_error": (named(type="permission_error"), AuthenticationError, 403),
    "not_found_error": (named(type="not_found_error"), BadRequestError, 404),
    "rate_limit_error": (named(type="rate_limit_error"), QuotaError, 429),
    # https://github.com/Wei-Shaw/sub2api/issues/5563
    "overloaded_error": (named(type="overloaded_error"), UnreachableError, 503),
    "api_error": (named(type="api_error"), UnreachableError, 500),
    # https://platform.openai.com/docs/guides/error-codes
    "model_not_found": (
        named(type="invalid_request_error", code="model_not_found"), BadRequestError, 404,
    ),
    "invalid_api_key": (
        named(type="invalid_request_error", code="invalid_api_key"), AuthenticationError, 401,
    ),
    "insufficient_quota": (
        named(type="insufficient_quota", code="insufficient_quota"), CreditError, 429,
    ),
    "invalid_request_error": (
        named(type="invalid_request_error", code=None), BadRequestError, 400,
    ),
    "server_error": (named(type="server_error", code=None), UnreachableError, 500),
    # https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
    "UNAUTHENTICATED": (named(status="UNAUTHENTICATED"), AuthenticationError, 401),
    "PERMISSION_DENIED": (named(status="PERMISSION_DENIED"), AuthenticationError, 403),
    "NOT_FOUND": (named(status="NOT_FOUND"), BadRequestError, 404),
    "RESOURCE_EXHAUSTED": (named(status="RESOURCE_EXHAUSTED"), QuotaError, 429),
    "UNAVAILABLE": (named(code="UNAVAILABLE"), UnreachableError, 503),
    # https://github.com/vllm-project/vllm/issues/16321, where the status is 400
    "NotFoundError": (named(type="NotFoundError"), BadRequestError, 404),
    "BadRequestError": (
        {"object": "error", "message": "As I say.", "type": "BadRequestError"},
        BadRequestError, 400,
    ),
    "one in another": ({"error": named(status="UNAUTHENTICATED")}, AuthenticationError, 401),
    "beside a text": ({"error": "As I say.", "statusCode": 401}, AuthenticationError, 401),
    "in a text": ({"error": "Too Many Requests: As I say."}, QuotaError, 429),
    "a number in a text": ({"error": "401 Unauthorized. As I say."}, AuthenticationError, 401),
    "code at the top": ({"code": 401, "message": "As I say."}, AuthenticationError, 401),
    "code at the top as text": ({"code": "429", "msg": "As I say."}, QuotaError, 429),
    # https://github.com/MicrosoftDocs/azure-docs/issues/15130
    "statusCode at the top": (
        {"statusCode": 401, "message": "As I say."}, AuthenticationError, 401,
    ),
    # https://www.rfc-editor.org/rfc/rfc9457
    "status at the top": ({"status": 503, "detail": "As I say."}, UnreachableError, 503),
    "name at the top": ({"code": "RESOURCE_EXHAUSTED", "message": "As I say."}, QuotaError, 429),
}  # fmt: skip


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(("body", "error", "status"), KINDS.values(), ids=KINDS)
def test_a_kind_of_error_in_a_200_is_its_status(server, settings, provider, body, error, status):
    server.respond = lambda _, number: (200, body)
    (said,) = send(settings(**PROVIDERS[provider]))
    final = said.final(1) if isinstance(said, TransientError) else said
    assert isinstance(final, error)
    assert re.search(rf": {status} .*As I say\.", str(final))


TEXTS = {
    "key": ({"error": "Invalid API key"}, AuthenticationError),
    "key, at length": (named(type=None, reason="x") | {"error": "The API key is invalid."},
                       AuthenticationError),
    "credit": ({"error": {"message": "Insufficient balance"}}, CreditError),
}  # fmt: skip


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(("body", "error"), TEXTS.values(), ids=TEXTS)
def test_an_error_in_a_200_that_only_its_text_tells_is_known(ask, server, provider, body, error):
    server.respond = lambda _, number: (200, body)
    with pytest.raises(error):
        ask(words(5), **PROVIDERS[provider])
    assert len(server.bodies) == 1


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    "code", ["content_filter", "context_length_exceeded", "ContextWindowExceededError"]
)
def test_a_row_that_is_refused_by_name_in_a_200_is_set_aside(ask, server, provider, code):
    server.respond = lambda body, number: (
        (200, named(code=code)) if "word 2" in json.dumps(body) else GOOD[provider]
    )
    results, _ = ask(words(4), **PROVIDERS[provider])
    assert [result.error for result in results] == [None, None, "refused", None]
    assert len(server.bodies) == 4


@pytest.mark.parametrize(
    "error",
    [
        None, 7, [], {}, "busy", "in 429 days", {"code": 200}, {"code": 1301}, {"code": "1301"},
        {"code": True}, {"status": "completed"}, {"type": "error"}, {"code": 3}, {"code": "4.5"},
    ],
    ids=repr,
)  # fmt: skip
def test_what_names_no_status_is_none(error):
    assert status_named(error) is None


# https://grpc.io/docs/guides/status-codes and the mapping of google/rpc/code.proto
@pytest.mark.parametrize(
    ("code", "status"),
    [
        (1, 499), (3, 400), (4, 504), (5, 404), (7, 403), (8, 429), (9, 400), (11, 400), (13, 500),
        (14, 503), (16, 401), (2, None), (429, 429),
    ],
)  # fmt: skip
def test_small_numbers_are_codes_of_rpc_where_a_service_has_them(code, status):
    assert status_named({"error": {"code": code}}, has_rpc_codes=True) == status
    assert status_named({"code": code}) == (429 if code == 429 else None)


def test_a_status_is_read_as_a_whole_number_with_a_point():
    assert status_named({"code": 502.0}) == 502


def choice(reason, text, **error):
    message = {"role": "assistant", "content": text}
    return {"choices": [{"finish_reason": reason, "message": message, "error": error}]}


@pytest.mark.parametrize("reason", [None, "stop", ""])
def test_an_error_in_place_of_a_text_is_that_error_whatever_its_reason(reason):
    """https://openrouter.ai/docs/api/reference/errors-and-debugging"""
    refusal = error_in_reply(choice(reason, "", code=502, message="Upstream overloaded"))
    assert (refusal.status, refusal.text) == (502, "Upstream overloaded")


@pytest.mark.parametrize(
    "body",
    [
        choice("stop", "A text.", code=502, message="Upstream overloaded"),
        choice("stop", "", code=None, message=""),
        choice("content_filter", "", code=403, message="Filtered"),
    ],
    ids=["beside a text", "blank", "filtered"],
)
def test_a_reply_beside_an_error_stays_a_reply(body):
    assert error_in_reply(body) is None


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_reply_with_a_number_for_a_code_is_no_error(ask, server, provider):
    server.respond = lambda _, number: (200, GOOD[provider][1] | {"code": 500, "status": "ok"})
    (result,), _ = ask(words(1), **PROVIDERS[provider])
    assert result.value == Word(word="a")


# https://github.com/songquanpeng/one-api/issues/1473
ONE_API = (
    b'<!doctype html><html lang="zh-CN"><head><title>One API</title><script>var a = "<b>";</script>'
    b"</head><body><noscript>You need to enable JavaScript to run this app.</noscript></body>"
    b"</html>"
)  # fmt: skip
S3 = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'
_BEFORE_VERSION = "base_url, where it is set, has to end before"
PATH_TO_SET = {"gemini": _BEFORE_VERSION, "openai": "like {}/v1", "vertex": _BEFORE_VERSION}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("page", "said"),
    [(ONE_API, "One API You need to enable JavaScript"), (S3, "AccessDenied"),
     (b"\n<!-- x --><HTML></HTML>", "in place of a reply.")],
    ids=["one-api", "XML", "empty"],
)  # fmt: skip
def test_a_page_in_place_of_replies_ends_after_a_few_attempts_and_names_the_path(
    ask, server, provider, page, said
):
    server.respond = lambda _, number: (200, page, {"Content-Type": "text/html"})
    with pytest.raises(UnreachableError, match="a web page came") as raised:
        ask(words(1), max_attempts=2, give_up_after_seconds=600, **PROVIDERS[provider])
    assert len(server.bodies) == 2
    assert said in str(raised.value)
    assert PATH_TO_SET[provider].format(server.url) in str(raised.value)
    assert "var a" not in str(raised.value)


def test_a_page_as_404_is_a_wrong_path(ask, server):
    """https://github.com/tsundereraws/aisub-translator/issues/2"""
    page = b"<html>\n<head><title>404 Not Found</title></head><center>nginx</center></html>"
    server.respond = lambda _, number: (404, page, {"Content-Type": "text/html"})
    with pytest.raises(
        BadRequestError, match=rf": 404 404 Not Found nginx Nothing.*{server.url}/v1"
    ):
        ask(words(1), **PROVIDERS["openai"])


def test_a_page_in_the_middle_of_a_run_is_an_outage(ask, server):
    server.respond = lambda _, number: (200, ONE_API) if 2 <= number <= 5 else GOOD["openai"]
    options = {"max_attempts": 1, "max_concurrency": 1, "give_up_after_seconds": 30}
    results, _ = ask(words(3), **options, **PROVIDERS["openai"])
    assert [result.error for result in results] == [None] * 3


STREAMS = {
    # https://github.com/decolua/9router/issues/3492
    "a reply and an end": json.dumps(openai_reply("Hush")[1]).encode() + b"\n\ndata: [DONE]\n\n",
    # https://github.com/diegosouzapw/OmniRoute/issues/6740
    "pieces": b'data: {"object": "chat.completion.chunk", "choices": [{"delta": {"content": '
              b'"Hush"}}]}\n\ndata: [DONE]\n\n',
    "comments before": b': OPENROUTER PROCESSING\n\ndata: {"choices": []}\n\ndata: [DONE]\n\n',
    "named events": b'event: message_start\r\ndata: {"type": "message_start"}\r\n\r\n',
}  # fmt: skip


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_a_stream_that_nobody_asked_for_stops_the_run(ask, server, provider, stream):
    server.respond = lambda _, number: (200, stream, {"Content-Type": "text/event-stream"})
    with pytest.raises(BadRequestError, match="a stream of events, although none") as raised:
        ask(words(5), **PROVIDERS[provider])
    assert len(server.bodies) == 1
    assert "Hush" not in str(raised.value)


@pytest.mark.parametrize(
    ("stream", "error", "said"),
    [
        # https://github.com/Wei-Shaw/sub2api/issues/5563
        (b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":'
         b'"Overloaded"}}\n\n', UnreachableError, "503 Overloaded"),
        # https://github.com/gumieri/nenya/issues/17
        (b'{"choices": []}\ndata: {"error":{"message":"upstream stream ended without [DONE]",'
         b'"type":"gateway_error"}}\n\ndata: [DONE]\n\n', UnreachableError, "500 upstream stream"),
        (b'data: {"error": {"code": 401, "message": "No auth"}}\n\n', AuthenticationError,
         "401 No auth"),
    ],
    ids=["overloaded", "gateway", "key"],
)  # fmt: skip
@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_error_in_such_a_stream_is_that_error(ask, server, provider, stream, error, said):
    server.respond = lambda _, number: (200, stream, {"Content-Type": "text/event-stream"})
    with pytest.raises(error, match=said):
        ask(words(1), give_up_after_seconds=0.02, **PROVIDERS[provider])


def test_no_stream_is_asked_for_in_so_many_words(ask, server):
    """https://github.com/gumieri/nenya/issues/17: a gateway streams where nothing is said."""
    server.respond = lambda _, number: GOOD["openai"]
    ask(words(1), **PROVIDERS["openai"])
    assert server.bodies[0]["stream"] is False


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("body", "said", "hidden"),
    [
        (b"upstream connect error or disconnect/reset before headers", "upstream connect err", "Q"),
        (b"", "it is empty", "Q"),
        (b'{"choices": [{"message": {"content": "Hush', "is not JSON", "Hush"),
    ],
    ids=["Envoy", "nothing", "half a reply"],
)
def test_what_is_no_json_is_shown_unless_it_may_be_a_reply(
    ask, server, provider, body, said, hidden
):
    server.respond = lambda _, number: (200, body)
    with pytest.raises(UnreachableError, match=said) as raised:
        ask(words(1), give_up_after_seconds=0.02, **PROVIDERS[provider])
    assert hidden not in str(raised.value)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_text_that_names_a_status_is_that_error(ask, server, provider):
    """https://github.com/bionic-gpt/bionic-gpt/issues/627"""
    server.respond = lambda _, number: (
        200,
        b"status = 401 Unauthorized, message = Invalid API Key",
    )
    with pytest.raises(AuthenticationError, match=r"401 status = 401 .* = Invalid API Key"):
        ask(words(1), **PROVIDERS[provider])
    assert len(server.bodies) == 1


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_words_of_a_body_that_is_no_reply_are_shown(ask, server, provider):
    """https://github.com/genkit-ai/genkit/pull/6259"""
    body = {"choices": None, "base_resp": {"status_code": 1, "status_msg": "too fast"}}
    server.respond = lambda _, number: (200, body)
    with pytest.raises(UnreachableError, match=r"does not match the .* API\. It says: too fast"):
        ask(words(1), give_up_after_seconds=0.02, **PROVIDERS[provider])


@pytest.mark.parametrize("provider", ["gemini", "openai"])
@pytest.mark.parametrize(
    "body",
    [b"Key the-key-of-all is unknown", b"<p>the-key-of-all</p>", b'{"message": "the-key-of-all"}'],
    ids=["text", "page", "JSON"],
)
def test_no_body_shows_the_key(ask, server, monkeypatch, provider, body):
    monkeypatch.setenv("A_KEY", "the-key-of-all")
    server.respond = lambda _, number: (200, body)
    options = {"max_attempts": 1, "give_up_after_seconds": 0.02, "api_key_env": "A_KEY"}
    with pytest.raises(ServiceLLMError, match=r"\[key\]") as raised:
        ask(words(1), **options, **PROVIDERS[provider])
    assert "the-key-of-all" not in str(raised.value)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_online_check_tells_of_a_page(server, settings, provider):
    server.respond = lambda _, number: (200, ONE_API)
    (told,) = send_probes(settings(**PROVIDERS[provider]), [Probe("judge", Request("w", Word))])
    assert "a web page came in place of a reply (One API" in told.problem


EMBEDDED = {
    "a page": (ONE_API, UnreachableError, "a web page came in place of a reply"),
    "a stream": (STREAMS["pieces"], BadRequestError, "a stream of events"),
    "a kind": (named(type="authentication_error"), AuthenticationError, r"401 As I say\."),
    "at the top": ({"code": 429, "message": "As I say."}, QuotaError, r"429 As I say\."),
    "other words": ({"message": "As I say."}, UnreachableError, r"It says: As I say\."),
}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(("body", "error", "said"), EMBEDDED.values(), ids=EMBEDDED)
def test_what_stands_in_place_of_a_vector_is_told_as_well(
    server, settings, provider, body, error, said
):
    server.respond = lambda _, number: (200, body)
    asked = settings(**PROVIDERS[provider])
    values = asked.model_dump(include={"provider", "base_url", "vertex_project", "vertex_location"})
    (found,) = send(EmbedderSettings(model="an-embedding", **values))
    final = found.final(1) if isinstance(found, TransientError) else found
    assert isinstance(final, error)
    assert re.search(said, str(final))
