"""Whatever a service says of the tokens it counted, a reply that was paid for counts."""

import pytest

from service_llm.client import open_service_llm
from service_llm.errors import BudgetError
from service_llm.journal.journal import Journal
from service_llm.reply_parser import _with_sound_counts
from service_llm.types import Finish, Reply, Request
from tests.service_llm.conftest import GOOD, PROVIDERS, Word, gemini_reply, words

ABSENT = object()
OPENAI_USAGES = {
    "absent": ABSENT,
    "null": None,
    "empty": {},  # https://github.com/FoundationAgents/MetaGPT/issues/1810
    "partial": {"prompt_tokens": 7},
    "null counts": {"prompt_tokens": None, "completion_tokens": None},
    "negative": {"prompt_tokens": -1, "completion_tokens": 3, "total_tokens": 2},
    "a text": {"prompt_tokens": "7", "completion_tokens": "many"},
    "a fraction": {"prompt_tokens": 7.5, "completion_tokens": 3},
    "a list": [1, 2],
    "a truth": {"prompt_tokens": True, "completion_tokens": True},
    "huge": {"prompt_tokens": 10**400, "completion_tokens": 3},
}
GEMINI_USAGES = {
    "absent": ABSENT,
    "null": None,
    "empty": {},
    "no prompt": {"candidatesTokenCount": 3},
    "negative": {"promptTokenCount": -7, "candidatesTokenCount": 3},
    "a text": {"promptTokenCount": "seven", "candidatesTokenCount": 3},
    "a list": [],
}
USAGES = {"openai": OPENAI_USAGES, "gemini": GEMINI_USAGES, "vertex": GEMINI_USAGES}
CASES = [(provider, usage) for provider in USAGES for usage in USAGES[provider].items()]
PRICE = {"prompt_usd_per_million_tokens": 3.0, "output_usd_per_million_tokens": 3.0}


def reply_with(provider, usage):
    name = "usage" if provider == "openai" else "usageMetadata"
    status, body = GOOD[provider]
    body = {key: value for key, value in body.items() if key != name}
    return status, body if usage is ABSENT else body | {name: usage}


@pytest.mark.parametrize(
    ("provider", "usage"), CASES, ids=[f"{provider}, {name}" for provider, (name, _) in CASES]
)
def test_a_reply_without_usable_counts_is_kept_and_its_usage_unknown(
    ask, server, tmp_path, provider, usage
):
    server.respond = lambda body, number: reply_with(provider, usage[1])
    options = {"price": PRICE, **PROVIDERS[provider]}
    (result,), used = ask([Request("word", Word)], budget_usd=5, **options)
    assert result.value == Word(word="a")
    assert (used.calls, used.prompt_tokens, used.output_tokens) == (1, 0, 0)
    assert used.unknown_calls == 1
    assert 0 < used.cost_usd < 1e-3, "estimated from the texts"
    journal = Journal(str(tmp_path / "journal"))
    assert journal.usage("SynthDataGen", 1) == used, "every line can be read again"
    journal.close()
    (again,), _ = ask([Request("word", Word)], **options)
    assert again.from_journal
    assert len(server.bodies) == 1


def test_counts_of_gemini_that_are_left_out_are_none(ask, server):
    """In JSON of a message, 0 is left out: https://protobuf.dev/programming-guides/json"""
    server.respond = lambda body, number: reply_with("gemini", {"promptTokenCount": 12})
    _, used = ask([Request("word", Word)])
    assert (used.prompt_tokens, used.output_tokens, used.unknown_calls) == (12, 0, 0)


COUNTS = {"promptTokenCount": 9291, "totalTokenCount": 9291}
EMPTY = {
    # https://github.com/BerriAI/litellm/pull/10186
    "no candidates": ("gemini", {"usageMetadata": COUNTS, "modelVersion": "gemini-2.5-pro"}),
    "candidates: []": ("gemini", {"usageMetadata": COUNTS, "candidates": []}),
    # https://github.com/googleapis/python-genai/issues/1289
    "no parts": (
        "gemini",
        {
            "candidates": [{"content": {"role": "model"}, "finishReason": "STOP"}],
            "usageMetadata": COUNTS,
        },
    ),
    "no choices": (
        "openai",
        {"choices": [], "usage": {"prompt_tokens": 9291, "completion_tokens": 0}},
    ),
    "no message": (
        "openai",
        {"choices": [{}], "usage": {"prompt_tokens": 9291, "completion_tokens": 0}},
    ),
}
EMPTY |= {
    f"{name}, on Vertex AI": ("vertex", body)
    for name, (provider, body) in EMPTY.items()
    if provider == "gemini"
}


@pytest.mark.parametrize(("provider", "body"), EMPTY.values(), ids=EMPTY)
def test_a_reply_without_an_answer_is_paid_for_and_asked_again_a_few_times(
    ask, server, provider, body
):
    server.respond = lambda sent, number: (200, body) if "word 1" in str(sent) else GOOD[provider]
    options = {"price": PRICE, "max_concurrency": 1, **PROVIDERS[provider]}
    results, used = ask(words(3), **options)
    assert [result.error for result in results] == [None, "bad_output", None]
    assert len(server.bodies) == used.calls == 2 + 4
    assert used.prompt_tokens > 4 * 9291
    assert used.unknown_calls == 0
    with pytest.raises(BudgetError):
        ask([Request("word 1, once more", Word)], budget_usd=used.cost_usd + 0.03, **options)
    assert len(server.bodies) == 6 + 2, "each of them counts"


def test_a_budget_holds_where_the_service_counts_nothing(tmp_path, settings, server):
    server.respond = lambda body, number: reply_with("gemini", None)
    long = [Request(f"{'word ' * 300}{n}", Word) for n in range(50)]
    with (
        open_service_llm(
            settings(price=PRICE, budget_usd=0.01, max_concurrency=1),
            journal_uri=str(tmp_path),
            component="c",
            round=1,
        ) as llm,
        pytest.raises(BudgetError),
    ):
        list(llm.map(long))
    assert 5 < len(server.bodies) < 20


def test_what_is_unknown_is_added_up(ask, server):
    server.respond = lambda body, number: (
        reply_with("gemini", None) if number % 2 else gemini_reply('{"word": "a"}')
    )
    _, used = ask(words(6))
    assert (used.calls, used.unknown_calls, used.prompt_tokens) == (6, 3, 30)


@pytest.mark.parametrize(
    ("counts", "tokens"),
    [
        ({"thoughtsTokenCount": 300}, (9291, 300)),
        ({"candidatesTokenCount": 5}, (9291, 5)),
        ({"candidatesTokenCount": 5, "thoughtsTokenCount": 300}, (9291, 305)),
    ],
)
def test_thoughts_of_gemini_count_as_output(ask, server, counts, tokens):
    server.respond = lambda body, number: reply_with("gemini", COUNTS | counts)
    _, used = ask([Request("word", Word)])
    assert (used.prompt_tokens, used.output_tokens, used.unknown_calls) == (*tokens, 0)


@pytest.mark.parametrize(
    ("counts", "are_sound"),
    [((3, 5), True), ((0, 0), True), ((-1, 5), False), ((3, -5), False), ((True, 5), False)],
)
def test_a_provider_that_counts_nonsense_has_counted_nothing(counts, are_sound):
    """As a provider that a team registers may; such a line could not be read again."""
    reply = Reply("x", Finish.STOP, *counts)
    known = _with_sound_counts(reply)
    assert (known == reply) is are_sound
    assert known.usage_known is are_sound
    assert are_sound or (known.prompt_tokens, known.output_tokens) == (0, 0)
