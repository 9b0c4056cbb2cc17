"""One row at which the server always fails is set aside; an outage sets none aside."""

import json

import pytest

from service_llm.types import Request
from tests.service_llm.conftest import GOOD, PROVIDERS, Word, words


@pytest.mark.parametrize("position", [0, 3, 5], ids=["the first", "in the middle", "the last"])
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("status", [424, 499, 500, 502, 504])
def test_a_row_at_which_the_server_always_fails_ends_no_run(
    ask, server, provider, status, position
):
    """As of one prompt at which a model server's parser or tokenizer breaks."""

    def respond(body, number):
        if f"word {position}" in json.dumps(body):
            return status, {"error": {"code": status, "message": "Internal error encountered."}}
        return GOOD[provider]

    server.respond = respond
    options = {"max_attempts": 3, "give_up_after_seconds": 0.5, **PROVIDERS[provider]}
    results, _ = ask(words(6), **options)
    errors = [result.error for result in results]
    assert errors.pop(position) == "refused"
    assert errors == [None] * 5
    assert "Internal error encountered." in results[position].raw


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_row_at_which_the_server_always_crashes_ends_no_run_and_no_resume(ask, server, provider):
    """As of one prompt that takes all memory: the connection breaks off, and the rest is well."""
    server.respond = lambda body, number: (
        (None, b"") if "word 3" in json.dumps(body) else GOOD[provider]
    )
    for _ in range(2):
        options = {"max_attempts": 3, "give_up_after_seconds": 0.5, **PROVIDERS[provider]}
        results, _ = ask(words(6), **options)
        assert [result.error for result in results] == [None] * 3 + ["refused"] + [None] * 2


@pytest.mark.parametrize(("status", "rows"), [(500, 3), (503, 1)])
def test_rows_left_over_at_which_the_server_fails_end_no_later_run(ask, server, status, rows):
    """All others are in the journal by then, and nothing else shows whether it answers."""
    broken = (status, {"error": {"code": status, "message": "broken"}})
    server.respond = lambda body, number: broken if "bad" in json.dumps(body) else GOOD["gemini"]
    asked = [*words(20 - rows), *(Request(f"bad {number}", Word) for number in range(rows))]
    for _ in range(2):
        results, _ = ask(asked, max_attempts=2, give_up_after_seconds=0.1)
        assert [result.error for result in results] == [None] * (20 - rows) + ["refused"] * rows


def test_an_outage_of_the_service_sets_no_row_aside(ask, server):
    """From the 10th request on it fails at sixteen."""
    server.respond = lambda body, number: (
        (500, {"error": {"message": "down"}}) if 10 <= number < 26 else GOOD["gemini"]
    )
    # Replies that were on their way when it began come within the first pause.
    options = {"max_attempts": 3, "retry_seconds": 0.05, "give_up_after_seconds": 30}
    results, usage = ask(words(40), max_concurrency=4, **options)
    assert [result.error for result in results] == [None] * 40
    assert usage.calls == 40
