"""Batch prediction jobs of Vertex AI, by Cloud Storage, through the real clients over HTTP."""

import json

import google.auth
import pytest
from google.cloud import storage

from core.errors import UserError
from service_llm.client import open_service_llm
from service_llm.errors import ServiceLLMError
from service_llm.settings import ServiceLLMSettings
from standin.buckets import Buckets
from standin.errors import HttpError
from standin.prediction_jobs import PredictionJobs
from standin.published.google_types import check_google
from standin.server import serve
from standin.service import StandIn
from tests.service_llm.conftest import VERTEX
from tests.service_llm.test_batch import MESSAGES, PRICE, requests

FOLDER = "gs://team/batches"


@pytest.fixture
def ask(tmp_path, cloud, monkeypatch):
    def ask(server, asked, **changes):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        values = {
            "provider": "gemini",
            "model": "stand-in-batch",
            "base_url": server.url,
            "batch": True,
            "batch_uri": FOLDER,
            "batch_poll_seconds": 0.05,
            "requests_per_minute": 60_000,
            "retry_seconds": 0.01,
            "price": PRICE,
            **VERTEX,
        }
        with open_service_llm(
            ServiceLLMSettings(**values | changes),
            journal_uri=str(tmp_path / "journal"),
            component="c",
            round=1,
        ) as llm:
            results = {result.request.tag: result for result in llm.map(requests(asked))}
            return [results[str(number)] for number in range(len(results))], llm.usage()

    return ask


@pytest.fixture
def created(monkeypatch):
    """The bodies of the jobs that were started."""
    bodies, create = [], PredictionJobs.create
    monkeypatch.setattr(
        PredictionJobs,
        "create",
        lambda self, place, body: bodies.append(body) or create(self, place, body),
    )
    return bodies


def objects(server):
    """What the folder holds, by the last part of a name and in lines of JSON."""
    found = {}
    client = storage.Client(project="team", credentials=google.auth.default()[0])
    for blob in client.list_blobs("team", prefix="batches/"):
        lines = blob.download_as_text().split("\n")
        found[blob.name.rpartition("/")[2]] = [json.loads(line) for line in lines if line]
    return found


def test_a_job_brings_what_single_requests_bring_at_half_the_price(ask, tmp_path):
    with serve(batch_seconds=0.2) as server:
        batched, usage = ask(server, MESSAGES)
        files = objects(server)
        single, full_price = ask(server, MESSAGES, batch=False, model="stand-in-single")
        assert server.stats()["bad_requests"] == 0
    assert [result.value for result in batched] == [result.value for result in single]
    assert usage.calls == len(MESSAGES)
    assert usage.cost_usd == pytest.approx((full_price.cost_usd - usage.cost_usd) / 2)
    sent = [line["request"] for line in files["requests.jsonl"]]
    assert [line["request"] for line in files["predictions.jsonl"]] != sent, "in another order"
    for request in sent:
        check_google("aiplatform_v1", "GenerateContentRequest", request)


def keyless(line):
    line["request"].pop("labels")


def of_another(line):
    line["request"]["labels"] = {"understudy-key": "7-of-another-job"}


@pytest.mark.parametrize("spoil", [keyless, of_another])
def test_replies_without_the_key_of_a_request_are_kept_and_answer_nothing(
    ask, monkeypatch, tmp_path, caplog, spoil
):
    line = PredictionJobs._line

    def spoiled(self, model, request):
        reply = line(self, model, json.loads(json.dumps(request)))
        if "order 1?" in json.dumps(request):
            spoil(reply)
        return reply

    monkeypatch.setattr(PredictionJobs, "_line", spoiled)
    with serve() as server:
        results, usage = ask(server, 3)
    assert [result.error for result in results] == [None, "refused", None]
    assert "no reply came back with its key" in results[1].raw
    assert usage.calls == 3, "it was paid for"
    journal = "".join(path.read_text() for path in (tmp_path / "journal").glob("*.jsonl"))
    assert journal.count('"unmatched"') == 1
    assert "carry the key of no request" in caplog.text


@pytest.mark.parametrize(
    ("code", "status", "jobs"), [(400, "INVALID_ARGUMENT", 1), (500, "INTERNAL", 2)]
)
def test_an_item_that_is_always_refused_ends_as_its_own(ask, monkeypatch, code, status, jobs):
    """Its error is a text with a phrase and JSON, in `status`."""
    batched = StandIn._batched

    def refusing(self, api, model, body):
        if "order 1?" in json.dumps(body):
            raise HttpError(code, status, "A forbidden word.")
        return batched(self, api, model, body)

    monkeypatch.setattr(StandIn, "_batched", refusing)
    created = []
    create = PredictionJobs.create
    monkeypatch.setattr(
        PredictionJobs, "create", lambda *args: created.append(args) or create(*args)
    )
    with serve() as server:
        results, usage = ask(server, 3, max_attempts=2)
    assert [result.error for result in results] == [None, "refused", None]
    assert "A forbidden word." in results[1].raw
    assert (len(created), usage.calls) == (jobs, 2)


@pytest.mark.parametrize("noted", [True, False], ids=["by its name", "by its display name"])
def test_a_run_that_was_killed_finds_its_job_again(ask, tmp_path, noted):
    with serve() as server:
        ask(server, 5)
        journal = tmp_path / "journal"
        kept = ["*.ended", "*.jsonl"] if noted else ["*.ended", "*.jsonl", "*.job"]
        for pattern in kept:
            for file in journal.glob(pattern):
                file.unlink()  # as if it had been killed before that was written
        results, usage = ask(server, 5)
        assert server.stats()["answered"] == 5, "none is asked again"
    assert all(result.from_journal for result in results)
    assert usage.calls == 5


def test_an_answer_to_a_new_job_that_is_lost_starts_no_second_one(ask, monkeypatch):
    create, created = PredictionJobs.create, []

    def lost(self, place, body):
        created.append(create(self, place, body))
        raise HttpError(503, "UNAVAILABLE", "The service is currently unavailable.")

    monkeypatch.setattr(PredictionJobs, "create", lost)
    with serve() as server:
        results, _ = ask(server, 3)
    assert len(created) == 1
    assert all(result.value for result in results)


def test_a_token_that_expires_while_a_job_runs_is_renewed(ask, cloud):
    """https://github.com/pydantic/pydantic-ai/issues/1186"""
    with serve(batch_seconds=0.5, token_requests=3) as server:
        results, _ = ask(server, 3, max_attempts=1)
    assert all(result.value for result in results)
    assert cloud.tokens >= 2


def test_a_job_that_failed_is_told_with_its_reason(ask, monkeypatch):
    def unreadable(self, uris):
        raise ValueError("line 1 is no request")

    monkeypatch.setattr(PredictionJobs, "_requests", unreadable)
    with (
        serve() as server,
        pytest.raises(ServiceLLMError, match=r"FAILED .*line 1 is no request.*same command again"),
    ):
        ask(server, 3)


def test_a_bucket_that_may_not_be_used_is_told_with_the_role_before_a_job_is_started(
    ask, monkeypatch
):
    def forbidden(self, bucket, call):
        raise HttpError(403, "PERMISSION_DENIED", "no storage.objects.create")

    monkeypatch.setattr(Buckets, "upload", forbidden)
    with serve() as server:
        with pytest.raises(UserError, match=rf"{FOLDER} of batch jobs .*Storage Object User"):
            ask(server, 3)
        assert server.stats()["requests"] == 0


def test_replies_that_are_gone_are_told_and_the_next_run_asks_again(ask, monkeypatch):
    with serve() as server:
        with monkeypatch.context() as patch:
            patch.setattr(Buckets, "listed", lambda self, bucket, query: {"items": []})
            with pytest.raises(ServiceLLMError, match=r"are gone.*same command again"):
                ask(server, 2)
        results, _ = ask(server, 2)
    assert all(result.value for result in results)
