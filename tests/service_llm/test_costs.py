"""What is counted, what it costs, and the budget that stops a run."""

import contextlib
import datetime
import math
import threading

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_llm.cost import (
    PRICES_FILE,
    cost_usd,
    listed_price,
    price_lists,
    price_of,
    read_prices,
)
from service_llm.errors import BudgetError, ServiceLLMError
from service_llm.settings import Price, ServiceLLMSettings
from service_llm.types import Request, Usage
from tests.service_llm.conftest import Word, gemini_reply, words

TODAY = datetime.date(2026, 10, 7)


def test_usage_is_counted_by_component_and_round(ask):
    ask(words(3))
    _, judge = ask(words(2, index=1), component="LLMEvaluator")
    _, second = ask(words(4, index=2), round=2)
    assert (judge.calls, second.calls) == (2, 4)


def costly(body, number):
    return gemini_reply('{"word": "a"}', output_tokens=400_000)  # 1 USD


def test_the_budget_stops_new_requests_and_says_so(ask, server):
    server.respond = costly
    with pytest.raises(BudgetError, match=r"3\.0000 USD so far.*2\.5000.*budget_usd.*same command"):
        ask(words(9), budget_usd=2.5, max_concurrency=1)
    assert len(server.bodies) == 3
    with pytest.raises(BudgetError):
        ask(words(9), budget_usd=2.5)
    assert len(server.bodies) == 3, "what was spent before counts"
    _, usage = ask(words(4), budget_usd=4.5, max_concurrency=1)
    assert usage.calls == len(server.bodies) == 4, "a larger budget goes on where it stopped"


def test_a_budget_is_overshot_by_the_requests_in_flight_and_no_more(ask, server):
    """Requests come in waves of `most`; the one that spends the last of the budget is the last."""
    most, budget = 8, 20.5
    wave = threading.Barrier(most)

    def respond(body, number):
        if number > 1:  # the first one goes alone
            with contextlib.suppress(threading.BrokenBarrierError):  # the last wave is smaller
                wave.wait(timeout=2)
        return costly(body, number)

    server.respond = respond
    with pytest.raises(BudgetError):
        ask(words(200), budget_usd=budget, max_concurrency=most)
    assert budget <= len(server.bodies) <= math.ceil(budget) + most - 1


def test_a_judge_without_a_price_does_not_switch_the_budget_off(ask, server):
    server.respond = costly
    ask(words(2, index=1), component="LLMEvaluator", model="my-own-model")
    with pytest.raises(BudgetError):
        ask(words(9), budget_usd=2.5, max_concurrency=1)
    assert len(server.bodies) == 2 + 3


def test_a_budget_needs_a_price(ask):
    with pytest.raises(ServiceLLMError, match=r"service_llm\.price"):
        ask(words(1), model="my-own-model", budget_usd=1)


def test_tokens_of_a_model_without_a_price_are_counted(ask):
    _, usage = ask(words(2), model="my-own-model")
    assert usage == Usage(2, 20, 10, None)


def test_malformed_replies_are_paid_for_too(ask, server):
    server.respond = lambda body, number: gemini_reply("no JSON" if number < 3 else '{"word": "a"}')
    _, usage = ask([Request("word", Word)])
    assert usage == Usage(3, 30, 15, pytest.approx(3 * (10 * 0.30 + 5 * 2.50) / 1e6))


def test_the_price_lists_say_where_and_when():
    lists = price_lists()
    assert len(lists) >= 2
    for prices in lists:
        assert prices.source.startswith("https://") or prices.source == "standin/README.md"
        assert datetime.date(2026, 1, 1) <= prices.date <= datetime.date.today()
        assert all(line.prompt_usd_per_million_tokens >= 0 for line in prices.models)


@pytest.mark.parametrize(
    ("model", "prices"),
    [
        ("gemini-2.5-flash", (0.30, 2.50)),
        ("models/gemini-2.5-flash-001", (0.30, 2.50)),
        ("google/gemini-2.5-flash-preview-09-2025", (0.30, 2.50)),
        ("gemini-2.5-flash-lite", (0.10, 0.40)),
        ("gemini-2.5-flash-image", None),
        ("gemini-2.5-flash-preview-tts", None),
        ("gemini-2.5", None),
        ("gpt-4o-2024-08-06", (2.50, 10.00)),
        ("gpt-4o-mini", (0.15, 0.60)),
        ("gpt-4o-audio-preview", None),
        ("gpt-5.4-nano", (0.20, 1.25)),
        ("gpt-5.99", None),
        ("stand-in-support-triage", (0.0, 0.0)),
        ("my-own-model", None),
        ("", None),
    ],
)
def test_a_price_is_of_the_very_model(model, prices):
    found = listed_price(model, TODAY)
    assert (
        found and (found.prompt_usd_per_million_tokens, found.output_usd_per_million_tokens)
    ) == prices


def test_a_price_ends_on_its_last_day():
    days = [datetime.date(2026, 12, 31), datetime.date(2027, 1, 1)]
    found = [listed_price("gemini-3.8-flash", day) for day in days]
    assert [price.output_usd_per_million_tokens for price in found] == [3.75, 7.50]


def test_a_price_of_ones_own_comes_first_and_batch_mode_halves_it():
    own = Price(prompt_usd_per_million_tokens=4, output_usd_per_million_tokens=8)
    values = {"provider": "gemini", "model": "gemini-2.5-flash", "base_url": "http://x"}
    assert price_of(ServiceLLMSettings(**values, price=own)) == own
    halved = price_of(ServiceLLMSettings(**values, batch=True))
    assert (halved.prompt_usd_per_million_tokens, halved.output_usd_per_million_tokens) == (
        0.15,
        1.25,
    )
    assert cost_usd(own, 1_000_000, 500_000) == 8.0


@given(text=st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_a_price_list_that_is_none_is_told(text):
    try:
        lists = read_prices(text)
    except ValueError:
        return
    assert lists == ()


@given(data=st.data())
def test_a_damaged_price_list_is_told_or_still_holds_prices(data):
    text = PRICES_FILE.read_text(encoding="utf-8")
    start = data.draw(st.integers(0, len(text)), "start")
    text = text[:start] + data.draw(st.text(max_size=5), "damage") + text[start + 3 :]
    try:
        lists = read_prices(text)
    except ValueError:
        return
    for prices in lists:
        for line in prices.models:
            assert line.prompt_usd_per_million_tokens >= 0


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "1e999"])
def test_a_price_is_a_number_that_can_be_counted_with(value):
    with pytest.raises(pydantic.ValidationError):
        Price(prompt_usd_per_million_tokens=value, output_usd_per_million_tokens=1)


@given(model=st.text())
def test_any_name_may_be_looked_up(model):
    found = listed_price(model, TODAY)
    assert found is None or found.model[:3] in model
