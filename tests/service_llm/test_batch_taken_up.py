"""Jobs of Gemini's Batch API that an earlier run left: what they teach, and what loses none."""

import pytest

from service_llm.errors import AuthenticationError, BadRequestError, UnreachableError
from standin.batches import Batches
from standin.errors import HttpError
from standin.files import Files
from standin.server import serve
from tests.service_llm.test_batch import ask, jobs
from tests.service_llm.test_batch_files import (
    PAGE,
    REFUSALS,
    answering,
    fail_jobs_with_a_seed,
    refusing,
)
from tests.service_llm.test_batch_record import ask_and_be_killed

__all__ = ["ask"]  # a fixture


@pytest.mark.parametrize(("error", "refuses"), REFUSALS.values(), ids=REFUSALS)
def test_what_a_job_of_an_earlier_run_is_refused_for_is_learned(ask, monkeypatch, error, refuses):
    monkeypatch.setattr(Batches, "_reply", refusing(error, refuses))
    with serve() as server:
        ask_and_be_killed(ask, monkeypatch, "ended", server, 3)
        results, _ = ask(server, 3, max_attempts=1)
        assert len(jobs(server)) == 2, "the next is accepted"
    assert all(result.value for result in results)


def test_what_a_whole_job_of_an_earlier_run_is_refused_for_is_learned(ask, monkeypatch):
    fail_jobs_with_a_seed(monkeypatch)
    with serve() as server:
        ask_and_be_killed(ask, monkeypatch, "ended", server, 3)
        results, _ = ask(server, 3, max_attempts=1)
        assert len(jobs(server)) == 2
    assert all(result.value for result in results)


@pytest.mark.parametrize(("error", "refuses"), REFUSALS.values(), ids=REFUSALS)
def test_what_a_job_is_refused_for_whose_answer_was_lost_is_learned(
    ask, monkeypatch, error, refuses
):
    create, lost = Batches.create, []

    def created(self, *args):
        job = create(self, *args)
        if not lost:
            lost.append(job)
            raise HttpError(503, "UNAVAILABLE", "The service is currently unavailable.")
        return job

    monkeypatch.setattr(Batches, "create", created)
    monkeypatch.setattr(Batches, "_reply", refusing(error, refuses))
    with serve() as server:
        results, _ = ask(server, 3, max_attempts=1)
        assert len(jobs(server)) == 2
    assert all(result.value for result in results)


@pytest.mark.parametrize("has_metadata", [True, False])
def test_what_a_job_of_google_ai_studio_answered_before_it_expired_is_kept(
    ask, monkeypatch, has_metadata
):
    told = Batches._told

    def early(self, job):
        operation = told(job)
        if operation["done"] and job["name"] == "batches/1":
            name = operation["metadata"]["output"]["responsesFile"]
            kept = b"\n".join(self._files.read(name).split(b"\n")[:2])
            output = {"responsesFile": self._files.create(kept)}
            operation["metadata"] |= {"state": "BATCH_STATE_EXPIRED", "output": output}
            if not has_metadata:
                operation |= {"metadata": {}, "response": output, "error": {"code": 4}}
        return operation

    monkeypatch.setattr(Batches, "_told", early)
    with serve() as server:
        results, usage = ask(server, 5)
        assert server.stats()["answered"] == 5 + 3
    assert all(result.value for result in results)
    assert usage.calls == 5


OTHERS = {
    "a page": b"<!doctype html><title>Sign in</title>",
    "no such path": b"404 page not found",
}


@pytest.mark.parametrize("body", OTHERS.values(), ids=OTHERS)
def test_another_server_in_the_place_of_the_service_loses_no_job(ask, monkeypatch, body):
    def elsewhere(self, name):
        raise HttpError(404, "NOT_FOUND", "")

    with serve() as server:
        with monkeypatch.context() as patch:
            patch.setattr(HttpError, "google", lambda self: body)
            patch.setattr(Batches, "get", elsewhere)
            with pytest.raises(BadRequestError, match=r"(page not found|Sign in).*before /v1beta"):
                ask(server, 3)
        results, usage = ask(server, 3)
        assert len(jobs(server)) == 1
    assert all(result.value for result in results)
    assert usage.calls == 3


# What Google answers for a key, not for a file: https://ai.google.dev/gemini-api/docs/api-key
NO_KEY = HttpError(403, "PERMISSION_DENIED", "Your API key was reported as leaked.")
KEPT = {
    "a page": (PAGE, UnreachableError, "Sign in"),
    "a key that is refused": (NO_KEY, AuthenticationError, "reported as leaked"),
    "an outage": (HttpError(503, "UNAVAILABLE", "Overloaded."), UnreachableError, "Overloaded"),
}


@pytest.mark.parametrize(("answer", "error", "said"), KEPT.values(), ids=KEPT)
def test_what_stands_in_the_place_of_a_file_of_replies_loses_no_job(
    ask, monkeypatch, answer, error, said
):
    with serve() as server:
        with monkeypatch.context() as patch:
            patch.setattr(Files, "read", answering(answer))
            with pytest.raises(error, match=said):
                ask(server, 3, give_up_after_seconds=0.05)
        results, usage = ask(server, 3)
        assert len(jobs(server)) == 1
    assert all(result.value for result in results)
    assert usage.calls == 3
