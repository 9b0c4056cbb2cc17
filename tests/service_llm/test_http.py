"""Whatever a server answers, a provider makes of it a reply or an error of this package."""

import asyncio
import datetime
import json
from email.utils import format_datetime

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from service_llm.errors import BadRequestError, ServiceLLMError, TransientError
from service_llm.pacing.retry_after import retry_after, retry_info
from service_llm.providers.registry import open_provider
from service_llm.types import Reply, Request
from tests.service_llm.conftest import GOOD, PROVIDERS, Word, gemini_error, words


def send(settings, count=1):
    """Outcomes of sending the same request."""

    async def run():
        provider = open_provider(settings)
        outcomes = []
        for _ in range(count):
            try:
                outcomes.append(await provider.send(Request("word", Word)))
            except (ServiceLLMError, TransientError) as error:
                outcomes.append(error)
        await provider.close()
        return outcomes

    return asyncio.run(run())


ODD = {
    "nothing": (200, b""),
    "a page": (200, b"<html>Sign in to this network</html>", {"Content-Type": "text/html"}),
    "a page that is called JSON": (200, b"<html></html>"),
    "half of it": (200, json.dumps(GOOD["gemini"][1]).encode()[:40]),
    "no text at all": (200, b"\xff\xfe\x00"),
    "a list": (200, []),
    "a number": (200, 7),
    "null": (200, None),
    "candidates of another type": (200, {"candidates": "a"}),
    "choices of another type": (200, {"choices": "a"}),
    "empty objects": (200, {"candidates": [{}], "choices": [{}]}),
    "nested too deeply": (200, b"[" * 100_000),
    "an error without details": (500, {"error": "oops"}),
    "an error that is a list": (503, [{"error": {"code": 503, "message": "no"}}]),
    "an error that is a text": (500, "oops"),
    "odd details": (429, {"error": {"details": [7, {"retryDelay": 7}, None]}}),
    "odd header": (429, {"error": {}}, {"Retry-After": "soon"}),
}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("answer", ODD.values(), ids=ODD)
def test_an_odd_answer_is_asked_for_again(ask, server, settings, provider, answer):
    server.respond = lambda body, number: answer if number == 1 else GOOD[provider]
    (result,), _ = ask([Request("word", Word)], **PROVIDERS[provider])
    assert result.value == Word(word="a")
    assert len(server.bodies) == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from([
            "candidates", "content", "parts", "text", "finishReason", "usageMetadata", "choices",
            "promptTokenCount", "message", "finish_reason", "usage", "prompt_tokens", "error",
            "code", "status", "details", "retryDelay", "model", "promptFeedback", "blockReason",
        ]),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.parametrize("provider", PROVIDERS)
@hypothesis_settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    answers=st.lists(
        st.tuples(
            st.sampled_from([200, 201, 307, 400, 401, 404, 408, 409, 418, 429, 500, 503, 599]),
            JSON | st.binary(max_size=50),
            st.fixed_dictionaries({}, optional={"Retry-After": st.sampled_from(["1", "x", "-3"])}),
        ),
        min_size=1,
        max_size=10,
    )
)
def test_no_answer_brings_another_error(server, settings, provider, answers):
    served = iter(answers)
    server.respond = lambda body, number: next(served)
    for outcome in send(settings(**PROVIDERS[provider]), len(answers)):
        assert isinstance(outcome, Reply | ServiceLLMError | TransientError)


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_redirects_are_not_followed(ask, server, other_server, provider, status):
    location = f"{other_server.url}/elsewhere"
    server.respond = lambda body, number: (status, {}, {"Location": location})
    with pytest.raises(BadRequestError, match=f"redirects to {location}.*base_url"):
        ask([Request("word", Word)], **PROVIDERS[provider])
    assert other_server.bodies == []


@pytest.mark.parametrize("provider", ["gemini", "openai"])
def test_the_proxy_of_the_environment_is_used(ask, server, other_server, provider, monkeypatch):
    for name in ("no_proxy", "NO_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", other_server.url)
    monkeypatch.setenv("http_proxy", other_server.url)
    other_server.respond = lambda body, number: GOOD[provider]
    ask([Request("word", Word)], base_url="http://model.example/v1", **PROVIDERS[provider])
    (path,) = other_server.paths
    assert path.startswith("http://model.example/v1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server.respond = lambda body, number: GOOD[provider]
    ask(words(1), **PROVIDERS[provider])
    assert (len(server.bodies), len(other_server.bodies)) == (1, 1)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("status", [429, 503])
def test_a_retry_after_header_is_read(server, settings, provider, status):
    date = object()
    for value, seconds in (("17", 17.0), ("1.5", 1.5), (date, 90.0), ("soon", None)):

        def respond(body, number, value=value):
            told = (
                value
                if value is not date
                else format_datetime(
                    datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=90),
                    usegmt=True,
                )
            )
            return status, {}, {"Retry-After": told}

        server.respond = respond
        (error,) = send(settings(**PROVIDERS[provider]))
        assert (error.is_quota, error.wait_seconds) == (
            status == 429, None if seconds is None else pytest.approx(seconds, abs=1),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("delay", "seconds"), [("17s", 17.0), ("0.847655010s", 0.847655010), ("17", None), ("", None)]
)
def test_a_retry_info_is_read_before_the_header(server, settings, delay, seconds):
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo"}, {"retryDelay": delay}]
    status, body = gemini_error(429, "RESOURCE_EXHAUSTED", details=details)
    server.respond = lambda _, number: (status, body, {"Retry-After": "99"})
    (error,) = send(settings())
    assert error.wait_seconds == (99.0 if seconds is None else seconds)


@pytest.mark.parametrize("fraction", [0.0, 0.4, 0.6])
def test_a_date_to_wait_for_is_never_too_early(monkeypatch, fraction):
    """It is in whole seconds, and the clock is not: the rest of a second is waited, too."""
    noon = datetime.datetime(2026, 11, 29, 12, 0, 0, tzinfo=datetime.UTC)
    now = noon + datetime.timedelta(seconds=fraction)

    class Frozen(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return now.astimezone(tz)

    monkeypatch.setattr("service_llm.pacing.retry_after.datetime.datetime", Frozen)
    assert retry_after({"Retry-After": "Sun, 29 Nov 2026 12:00:10 GMT"}) == 10
    assert retry_after({"Retry-After": "Sun, 29 Nov 2026 11:59:59 GMT"}) == 0


@pytest.mark.parametrize("days", [-4000, -3, 0, 3, 4000])
def test_a_date_to_wait_for_is_of_the_servers_clock_not_of_this_machines(days):
    then = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    dates = {
        name: format_datetime(at, usegmt=True)
        for name, at in (("Date", then), ("Retry-After", then + datetime.timedelta(seconds=7)))
    }
    assert retry_after(dates) == 7


@pytest.mark.parametrize("date", ["", "yesterday", "Sun, 99 Nov 2026 12:00:00 GMT"])
def test_without_a_readable_date_it_is_of_this_machines(date):
    then = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=100)
    found = retry_after({"Date": date, "Retry-After": format_datetime(then, usegmt=True)})
    assert 0 < found <= 101


@given(text=st.text() | st.from_regex(r"[\d.]+s?"))
def test_what_a_server_asks_to_wait_is_a_time_or_nothing(text):
    for found in (
        retry_after({"Retry-After": text}),
        retry_info({"error": {"details": [{"retryDelay": text}]}}),
    ):
        assert found is None or 0 <= found < 1e10


@given(body=JSON)
def test_any_body_may_be_asked_for_a_time_to_wait(body):
    found = retry_info(body)
    assert found is None or found >= 0
