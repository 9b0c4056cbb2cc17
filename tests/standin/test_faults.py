import json
import random

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from standin.faults import FAULTS, MALFORMED, FaultDice
from standin.quota import Quota
from standin.server import serve
from tests.standin.bodies import answer_body, post, told


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        ("unavailable", 503, "UNAVAILABLE"),
        ("internal", 500, "INTERNAL"),
        ("quota", 429, "RESOURCE_EXHAUSTED"),
        ("shared_quota", 429, "RESOURCE_EXHAUSTED"),
    ],
)
def test_errors_have_their_code_and_status(fault, code, status):
    with serve(faults={fault: 1.0}) as server:
        response = post(server, answer_body("Hi"))
        assert server.stats()["faults"] == {fault: 1}
        assert server.stats()["quota_errors"] == (code == 429)
    assert (response.status_code, response.json()["error"]["status"]) == (code, status)


def test_a_shared_quota_says_no_time_to_wait():
    """https://github.com/google-gemini/gemini-cli/issues/14811"""
    with serve(faults={"shared_quota": 1.0}) as server:
        response = post(server, answer_body("Hi"))
    assert "details" not in response.json()["error"]
    assert "Retry-After" not in response.headers


def test_a_disconnect_closes_the_connection_without_an_answer():
    with serve(faults={"disconnect": 1.0}) as server, pytest.raises(httpx.RemoteProtocolError):
        post(server, answer_body("Hi"))


def test_safety_refuses_the_reply_or_the_prompt():
    with serve(faults={"safety": 1.0}) as server:
        replies = [post(server, answer_body(f"Hi {n}")).json() for n in range(20)]
    blocked = [r for r in replies if r.get("promptFeedback", {}).get("blockReason") == "SAFETY"]
    refused = [r for r in replies if r.get("candidates", [{}])[0].get("finishReason") == "SAFETY"]
    assert blocked
    assert refused
    assert len(blocked) + len(refused) == 20
    assert "content" not in refused[0]["candidates"][0]


def test_truncated_replies_end_in_the_middle():
    with serve(faults={"truncated": 1.0}) as server:
        candidate = post(server, answer_body("Hi")).json()["candidates"][0]
    assert candidate["finishReason"] == "MAX_TOKENS"
    with pytest.raises(ValueError, match=r"."):
        json.loads(candidate["content"]["parts"][0]["text"])


@pytest.mark.parametrize("name", MALFORMED)
def test_every_malformed_reply_breaks_its_format(name):
    for text in ('{"output": "a b c"}', '{"reason": "so it is", "score": 4}', '{"prompts": ["a"]}'):
        fields = json.loads(text)
        broken = MALFORMED[name](text, random.Random(1))
        try:
            read = json.loads(broken)
        except ValueError:
            continue
        kinds = {k: type(v) for k, v in read.items()} if isinstance(read, dict) else None
        assert kinds != {k: type(v) for k, v in fields.items()}, broken


def test_there_are_at_least_ten_ways_to_be_malformed():
    assert len({w('{"output": "a b"}', random.Random(2)) for w in MALFORMED.values()}) >= 10


def test_a_failed_request_can_succeed_when_it_is_sent_again():
    with serve(faults={"unavailable": 0.5}) as server:
        codes = [[post(server, answer_body(f"m{n}")).status_code for _ in range(6)] for n in "abcd"]
    assert {code for row in codes for code in row} == {200, 503}
    assert all(200 in row for row in codes)


def test_faults_depend_on_the_request_and_the_attempt_only():
    def drawn(names):
        dice = FaultDice({"internal": 0.3, "malformed": 0.3})
        return {name: [dice.draw(name)[0] for _ in range(5)] for name in names}

    assert drawn(["a", "b", "c"]) == drawn(["c", "a", "b"])


@given(st.sampled_from(FAULTS), st.floats(0.05, 0.95))
def test_faults_come_at_their_rate(name, rate):
    dice = FaultDice({name: rate})
    share = sum(dice.draw(str(n))[0] == name for n in range(400)) / 400
    assert abs(share - rate) < 0.13


@pytest.mark.parametrize("rates", [{"fire": 0.1}, {"quota": -0.1}, {"quota": 0.6, "safety": 0.6}])
def test_rates_that_are_no_rates_are_refused(rates):
    with pytest.raises(ValueError, match="fault"):
        FaultDice(rates)


def test_a_quota_error_says_when_to_come_back():
    with serve(requests_per_minute=2) as server:
        codes = [post(server, answer_body("Hi")).status_code for _ in range(3)]
        response = post(server, answer_body("Hi"))
        assert server.stats()["quota_errors"] == 2
    assert codes == [200, 200, 429]
    (info,) = response.json()["error"]["details"]
    assert info["@type"] == "type.googleapis.com/google.rpc.RetryInfo"
    assert 0 < float(info["retryDelay"].removesuffix("s")) <= 60
    assert int(response.headers["Retry-After"]) >= float(info["retryDelay"].removesuffix("s"))


def test_tokens_are_limited_as_well():
    with serve(tokens_per_minute=60) as server:
        codes = [post(server, answer_body("x" * 200)).status_code for _ in range(2)]
    assert codes == [200, 429], (
        "the first is larger than the limit, and passes as the window is empty"
    )


@given(
    st.lists(st.tuples(st.floats(0, 40), st.integers(1, 50)), min_size=1, max_size=40),
    st.integers(1, 5),
    st.integers(50, 120),
)
def test_no_minute_exceeds_the_limits_and_the_asked_wait_is_enough(arrivals, requests, tokens):
    now = 0.0
    quota = Quota(requests, tokens, clock=lambda: now)
    passed = []
    for pause, size in arrivals:
        now += pause
        wait = quota.admit(size)
        if wait:
            now += wait + 1e-6
            assert quota.admit(size) == 0
        passed.append((now, size))
    for end, _ in passed:
        window = [size for at, size in passed if end - 60 < at <= end]
        assert len(window) <= requests
        assert sum(window) <= tokens


def test_without_faults_the_same_request_always_gets_the_same_reply(server):
    replies = [told(post(server, answer_body("Where is my Terra Kettle?"))) for _ in range(3)]
    assert replies[0] == replies[1] == replies[2]
