"""Batch jobs through the real client, over HTTP, against the stand-in."""

import json
import signal
import subprocess
import sys
import time
import urllib.request

import pydantic
import pytest

from service_llm.batch_jobs import BatchJob, BatchReply, match_replies
from service_llm.blocks import block
from service_llm.client import open_service_llm
from service_llm.errors import BudgetError, ServiceLLMError
from service_llm.providers.gemini_schema import schema_field
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Finish, Reply, Request
from standin.batches import Batches
from standin.server import serve

PRICE = {"prompt_usd_per_million_tokens": 1.0, "output_usd_per_million_tokens": 2.0}


class Answer(pydantic.BaseModel):
    output: str


MESSAGES = [
    text.format(number)
    for number in range(10)
    for text in (
        "Where is order {}?",
        "My Nimbus Cam goes black, ticket {}.",
        "I was charged twice on invoice {}!",
        "How do I pair device {}?",
    )
]


def requests(asked):
    """Requests with so many messages, or with these."""
    messages = [f"Where is order {n}?" for n in range(asked)] if isinstance(asked, int) else asked
    for number, message in enumerate(messages):
        parts = {"task": "support_triage\nTriage.", "message": message}
        text = "\n".join(block(name, content, "qwzkfp") for name, content in parts.items())
        yield Request(text, Answer, tag=str(number))


def settings(server, **changes):
    values = {
        "provider": "gemini",
        "model": "stand-in-batch",
        "base_url": server.url,
        "batch": True,
        "batch_poll_seconds": 0.05,
        "requests_per_minute": 60_000,
        "retry_seconds": 0.01,
        "price": PRICE,
    }
    return ServiceLLMSettings(**values | changes)


@pytest.fixture
def ask(tmp_path):
    def ask(server, asked, **changes):
        with open_service_llm(
            settings(server, **changes), journal_uri=str(tmp_path), component="c", round=1
        ) as llm:
            results = {result.request.tag: result for result in llm.map(requests(asked))}
            return [results[str(number)] for number in range(len(results))], llm.usage()

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
    monkeypatch.setattr("service_llm.batch._MAX_IN_A_JOB", 7)
    monkeypatch.setattr("service_llm.batch._MAX_OPEN", 20)
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
from service_llm.client import open_service_llm
from service_llm.settings import ServiceLLMSettings
from tests.service_llm.test_batch import requests

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


def without_keys(output):
    """A job's output as its service should never send it."""

    def told(self, job):
        told = output(job)
        if name := told["metadata"].get("output", {}).get("responsesFile"):
            lines = self._files.read(name).decode().splitlines()
            kept = [json.dumps({"response": json.loads(line)["response"]}) for line in lines]
            told["metadata"]["output"] = {
                "responsesFile": self._files.create("\n".join(kept).encode())
            }
        return told

    return told


def test_replies_in_another_order_answer_their_own_requests(ask):
    """https://github.com/googleapis/python-genai/issues/1909: the stand-in always mixes them."""
    with serve() as server:
        results, _ = ask(server, MESSAGES)
        single, _ = ask(server, MESSAGES, batch=False, model="stand-in-single")
    assert [result.value for result in results] == [result.value for result in single]
    assert len({result.value.output for result in results}) > 1


def test_replies_without_a_key_are_kept_and_reported_and_answer_nothing(
    ask, monkeypatch, tmp_path, caplog
):
    """https://github.com/googleapis/python-genai/issues/1886"""
    monkeypatch.setattr("standin.batches.Batches._told", without_keys(Batches._told))
    with serve() as server:
        with pytest.raises(ServiceLLMError, match=r"none of its replies carries the key"):
            ask(server, 6)
        assert "6 replies of a batch job carry the key of no request" in caplog.text
        monkeypatch.undo()
        results, usage = ask(server, 6)
        assert server.stats()["answered"] == 12
    assert all(result.value for result in results)
    assert not any(result.from_journal for result in results)
    assert usage.calls == 12, "those that answer nothing were paid for, too"
    lines = b"".join(path.read_bytes() for path in tmp_path.glob("*.jsonl"))
    assert lines.count(b'"unmatched"') == 6


def test_replies_under_unknown_and_repeated_keys_answer_nothing(ask, monkeypatch, tmp_path, caplog):
    """A key that was never sent, one of another job, one that is given twice or after an error."""
    output = Batches._told

    def told(self, job):
        told = output(job)
        if name := told["metadata"].get("output", {}).get("responsesFile"):
            lines = [json.loads(line) for line in self._files.read(name).decode().splitlines()]
            lines.sort(key=lambda line: line["key"])
            (_, own), other = lines[0]["key"].split("-"), lines[1]["response"]
            broken = {"key": lines[2]["key"], "error": {"code": 13, "message": "Internal error."}}
            more = [
                broken,
                *lines,
                {"key": f"9-{own}", "response": other},
                {"key": own, "response": other},
                {"key": lines[0]["key"], "response": other},
            ]
            text = "\n".join(map(json.dumps, more))
            told["metadata"]["output"] = {"responsesFile": self._files.create(text.encode())}
        return told

    monkeypatch.setattr("standin.batches.Batches._told", told)
    with serve() as server:
        results, usage = ask(server, MESSAGES[:4])
        assert len(jobs(server)) == 1, "nothing is asked again"
        monkeypatch.undo()
        single, _ = ask(server, MESSAGES[:4], batch=False, model="stand-in-single")
    assert [result.value for result in results] == [result.value for result in single]
    assert "3 replies of a batch job carry the key of no request, or one that" in caplog.text
    assert usage.calls == 4 + 3, "those that answer nothing were paid for, too"
    lines = b"".join(path.read_bytes() for path in tmp_path.glob("*.jsonl"))
    assert lines.count(b'"unmatched"') == 3


def test_a_reply_with_the_key_of_another_job_answers_nothing():
    job = BatchJob("a", "c", 1, ["0" * 64, "1" * 64])
    reply = Reply("{}", Finish.STOP, 1, 1)
    _, second = job.sent_keys()
    given = [BatchReply(key, reply) for key in (second, "2-" + "2" * 64, None, second)]
    by_key, unmatched = match_replies(job, given)
    assert list(by_key) == [second]
    assert len(unmatched) == 3


@pytest.mark.parametrize(
    "status",
    [
        {"error": {"code": 3, "message": "The request holds a forbidden word."}},
        {"error": {"code": 400, "message": "It holds a forbidden word."}},
        {"error": {"status": "INVALID_ARGUMENT", "message": "It holds a forbidden word."}},
        {"status": {"code": 3, "message": "It holds a forbidden word."}},
    ],
    ids=["code", "HTTP", "name", "status"],
)
def test_an_item_that_would_fail_again_ends_with_its_reason(ask, status):
    """https://ai.google.dev/gemini-api/docs/batch-api: a line holds a response or a status."""
    with serve() as server:
        reply = Batches._reply

        def refuse(self, model, request):
            if "order 3?" in json.dumps(request):
                return status
            return reply(self, model, request)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Batches, "_reply", refuse)
            results, usage = ask(server, 20)
        assert len(jobs(server)) == 1, "not one more job for it"
    assert [n for n, result in enumerate(results) if result.error] == [3]
    assert results[3].error == "refused"
    assert "forbidden word" in results[3].raw
    assert usage.calls == 19


def test_an_item_that_the_service_always_fails_at_ends_with_its_reason(ask):
    with pytest.MonkeyPatch.context() as patch, serve() as server:
        reply = Batches._reply

        def fail(self, model, request):
            if "order 3?" in json.dumps(request):
                return {"error": {"code": 13, "message": "Internal error."}}
            return reply(self, model, request)

        patch.setattr(Batches, "_reply", fail)
        results, _ = ask(server, 5, max_attempts=2)
        assert len(jobs(server)) == 2
    assert [result.error for result in results] == [None, None, None, "refused", None]


def test_a_job_of_an_earlier_version_is_read_without_guessing(ask, tmp_path, caplog):
    """It was sent inline, and what came back has no keys."""
    with serve() as server:
        config = {"responseMimeType": "application/json", "responseSchema": schema_field(Answer)[1]}
        sent = [
            {"contents": [{"parts": [{"text": request.prompt}]}], "generationConfig": config}
            for request in requests(3)
        ]
        inline = {"requests": {"requests": [{"request": request} for request in sent]}}
        body = {"batch": {"displayName": "understudy-a", "inputConfig": inline}}
        url = f"{server.url}/v1beta/models/stand-in-batch:batchGenerateContent"
        started = urllib.request.Request(url, json.dumps(body).encode(), method="POST")
        name = json.load(urllib.request.urlopen(started))["name"]
        note = {"id": "a", "component": "c", "round": 1, "keys": ["0" * 64] * 3}
        (tmp_path / "a.batch").write_text(json.dumps(note), encoding="utf-8")
        (tmp_path / "a.job").write_text(name, encoding="utf-8")
        results, _ = ask(server, 3)
        assert "3 replies of a batch job carry the key of no request" in caplog.text
    assert all(result.value and not result.from_journal for result in results)


def test_batch_requests_are_those_that_are_sent_singly(tmp_path, ask):
    record = tmp_path / "record.jsonl"
    with serve(record_file=record) as server:
        ask(server, 1)
        ask(server, 1, batch=False, model="stand-in-single")
    # google-genai writes the names inside a schema as in the message's definition.
    lines = record.read_text().replace("property_ordering", "propertyOrdering").splitlines()
    batched, single = map(json.loads, lines)
    assert batched == single


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
    ("changes", "said"),
    [
        ({"provider": "openai"}, "batch is only valid with provider 'gemini'"),
        ({"vertex_project": "p", "base_url": None}, "set batch_uri to a folder, like gs://"),
        ({"batch_uri": "gs://team/batches"}, "batch_uri is only valid with vertex_project"),
        ({"vertex_project": "p", "batch_uri": "s3://team/batches"}, "batch_uri"),
    ],
    ids=["openai", "no folder", "AI Studio", "elsewhere"],
)
def test_batch_mode_elsewhere_is_refused(changes, said):
    values = {"provider": "gemini", "model": "m", "base_url": "http://x", "batch": True}
    with pytest.raises(pydantic.ValidationError, match=said):
        ServiceLLMSettings(**values | changes)
