"""Batch jobs through the real client, over HTTP, against the stand-in."""

import json
import signal
import subprocess
import sys
import time
import urllib.request

import pydantic
import pytest

from components.service_llm.blocks import block
from components.service_llm.client import open_service_llm
from components.service_llm.errors import BudgetError, ServiceLLMError
from components.service_llm.settings import ServiceLLMSettings
from components.service_llm.types import Request
from standin.server import serve

PRICE = {"prompt_usd_per_million_tokens": 1.0, "output_usd_per_million_tokens": 2.0}


class Answer(pydantic.BaseModel):
    output: str


def requests(count):
    for number in range(count):
        parts = {"task": "support_triage\nTriage.", "message": f"Where is order {number}?"}
        text = "\n".join(block(name, content, "0" * 16) for name, content in parts.items())
        yield Request(text, Answer, tag=str(number))


def settings(server, **changes):
    values = {
        "provider": "gemini",
        "model": "stand-in-batch",
        "base_url": server.url,
        "batch": True,
        "batch_poll_seconds": 0.05,
        "retry_seconds": 0.01,
        "price": PRICE,
    }
    return ServiceLLMSettings(**values | changes)


@pytest.fixture
def ask(tmp_path):
    def ask(server, count, **changes):
        with open_service_llm(
            settings(server, **changes), journal_uri=str(tmp_path), component="c", round=1
        ) as llm:
            results = {result.request.tag: result for result in llm.map(requests(count))}
            return [results[str(number)] for number in range(count)], llm.usage()

    return ask


def jobs(server):
    with urllib.request.urlopen(f"{server.url}/v1beta/batches") as reply:
        return json.load(reply)["operations"]


def test_a_job_brings_what_single_requests_bring_at_half_the_price(ask, tmp_path):
    with serve(batch_seconds=0.3) as server:
        batched, usage = ask(server, 20)
        assert len(jobs(server)) == 1
        with open_service_llm(
            settings(server, batch=False),
            journal_uri=str(tmp_path / "other"),
            component="c",
            round=1,
        ) as llm:
            single = {result.request.tag: result.value for result in llm.map(requests(20))}
            full_price = llm.usage()
    assert [result.value for result in batched] == [single[str(n)] for n in range(20)]
    assert not any(result.from_journal for result in batched)
    assert (usage.calls, usage.prompt_tokens) == (20, full_price.prompt_tokens)
    assert usage.cost_usd == pytest.approx(full_price.cost_usd / 2)


def test_what_is_in_the_journal_is_in_no_job(ask):
    with serve() as server:
        ask(server, 5)
        results, usage = ask(server, 8)
        assert server.stats()["answered"] == 8
        assert len(jobs(server)) == 2
    assert [result.from_journal for result in results] == [True] * 5 + [False] * 3
    assert usage.calls == 8


def test_unreadable_and_failed_replies_are_asked_for_in_the_next_job(ask):
    with serve(faults={"malformed": 0.2, "unavailable": 0.2}) as server:
        results, usage = ask(server, 60)
        assert len(jobs(server)) > 1
        assert usage.calls == server.stats()["answered"]
    answered = [result for result in results if result.value is not None]
    assert len(answered) >= 57
    assert {result.error for result in results} <= {None, "bad_output"}


def test_more_requests_than_a_job_holds_go_into_several(ask, monkeypatch):
    monkeypatch.setattr("components.service_llm.batch._MOST_IN_A_JOB", 7)
    monkeypatch.setattr("components.service_llm.batch._MOST_OPEN", 20)
    with serve() as server:
        results, _ = ask(server, 30)
        sizes = len(jobs(server))
    assert all(result.value for result in results)
    assert sizes == 3 + 2, "20 requests make three jobs, the other 10 two"


def test_a_budget_that_is_spent_starts_no_job(ask):
    with serve() as server:
        ask(server, 5)
        with pytest.raises(BudgetError, match="budget"):
            ask(server, 10, budget_usd=1e-6)
        assert len(jobs(server)) == 1


def test_jobs_hold_no_more_than_the_budget_surely_pays_for(ask):
    """A reply may take 8192 tokens to think and 2048 to answer, and takes about 40."""
    longest = (2048 + 8192) * 1.0 / 1e6  # USD, at half of 2 USD for a million tokens
    with serve() as server:
        results, usage = ask(server, 40, budget_usd=10.5 * longest)
        sizes = [job["metadata"]["displayName"] for job in jobs(server)]
        assert 4 <= len(sizes) <= 6, "ten at once, and again ten when they turned out to be short"
        assert all(result.value for result in results)
        with pytest.raises(BudgetError):
            ask(server, 400, budget_usd=usage.cost_usd * 1.5)
        spent = server.stats()["answered"] * usage.cost_usd / 40
    assert usage.cost_usd * 1.4 < spent < usage.cost_usd * 1.5 + longest


def test_a_damaged_note_of_a_job_is_told_and_passed_over(ask, tmp_path, caplog):
    for name, text in (("a", "{"), ("b", '{"id": "b"}'), ("c", "")):
        (tmp_path / f"{name}.batch").write_text(text, encoding="utf-8")
    with serve() as server:
        results, _ = ask(server, 3)
    assert all(result.value for result in results)
    assert caplog.text.count("of a batch job cannot be read") == 3


PROGRAM = """
import sys
from components.service_llm.client import open_service_llm
from components.service_llm.settings import ServiceLLMSettings
from tests.components.service_llm.test_batch import requests

settings = ServiceLLMSettings.model_validate_json(sys.argv[1])
with open_service_llm(settings, journal_uri=sys.argv[2], component="c", round=1) as llm:
    print(len([result.value.output for result in llm.map(requests(12))]), llm.usage().calls)
"""


@pytest.mark.parametrize("noted", [True, False], ids=["job noted", "killed before it was noted"])
def test_a_run_that_is_killed_finds_its_job_again(tmp_path, noted):
    with serve(batch_seconds=2.0) as server:
        configured = settings(server).model_dump_json()
        command = [sys.executable, "-c", PROGRAM, configured, str(tmp_path)]
        run = subprocess.Popen(command)
        while not list(tmp_path.glob("*.job")):
            assert run.poll() is None
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
        run.wait()
        if not noted:
            (note,) = tmp_path.glob("*.job")
            note.unlink()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert len(jobs(server)) == 1
        assert server.stats()["answered"] == 12
    assert done.stdout.split() == ["12", "12"]


def test_a_job_that_is_gone_does_not_hold_up_the_next_run(ask, tmp_path):
    (tmp_path / "a.batch").write_text(
        json.dumps({"id": "a", "component": "c", "round": 1, "keys": ["00"]}), encoding="utf-8"
    )
    (tmp_path / "a.job").write_text("batches/99", encoding="utf-8")
    with serve() as server:
        results, _ = ask(server, 3)
    assert all(result.value for result in results)
    assert (tmp_path / "a.ended").exists()


def test_a_job_that_fails_is_told_by_its_name(ask, monkeypatch):
    monkeypatch.setattr(
        "standin.batches.Batches.get",
        lambda self, name: {
            "name": name,
            "metadata": {"state": "BATCH_STATE_EXPIRED"},
            "done": True,
        },
    )
    with serve() as server, pytest.raises(ServiceLLMError, match=r"batches/1.*EXPIRED.*Run the"):
        ask(server, 3)


@pytest.mark.parametrize(
    "changes",
    [{"provider": "openai"}, {"vertex_project": "p", "base_url": None}],
    ids=["openai", "vertex"],
)
def test_batch_mode_elsewhere_is_refused(changes):
    values = {"provider": "gemini", "model": "m", "base_url": "http://x", "batch": True}
    with pytest.raises(pydantic.ValidationError, match="batch goes with provider 'gemini'"):
        ServiceLLMSettings(**values | changes)
