"""Files of replies that are gone, empty or something else, and what jobs teach about parameters."""

import json

import pytest

from service_llm.errors import (
    AuthenticationError,
    BadRequestError,
    QuotaError,
    ServiceLLMError,
    UnreachableError,
)
from standin.batches import Batches
from standin.errors import HttpError
from standin.files import Files
from standin.server import serve
from tests.service_llm.conftest import gemini_reply
from tests.service_llm.test_batch import ask, jobs
from tests.service_llm.test_batch_errors import once

__all__ = ["ask"]  # a fixture

PAGE = b"<!doctype html><html><title>Sign in</title></html>"
TEXT = b"upstream connect error"


def answering(answer, times=99):
    """A method of `Files` that answers so, or raises it, when a file of replies is read."""
    read, left = Files.read, [times]

    def answered(self, name):
        content = read(self, name)
        if b'"request"' in content or not left[0]:  # the job reads its own file of requests
            return content
        left[0] -= 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    return answered


GONE = {  # https://github.com/googleapis/python-genai/issues/1218
    403: HttpError(403, "PERMISSION_DENIED", "You do not have permission or it may not exist."),
    404: HttpError(404, "NOT_FOUND", "Requested entity was not found."),
}
LOST = {
    **{str(status): (error, "is gone") for status, error in GONE.items()},
    "empty": (b"", "holds no reply"),
    "blank lines": (b"\n\n", "holds no reply"),
    "a text": (TEXT, "cannot be read .*is not JSON"),
}


@pytest.mark.parametrize(("answer", "said"), LOST.values(), ids=LOST)
def test_a_file_of_replies_that_is_lost_ends_one_run_and_not_the_next(
    ask, monkeypatch, answer, said
):
    monkeypatch.setattr("service_llm.providers.gemini_batch._MAX_DOWNLOADS", 2)
    with serve() as server:
        with monkeypatch.context() as patch:
            patch.setattr(Files, "read", answering(answer))
            with pytest.raises(ServiceLLMError, match=rf"{said}.*Run the same command again"):
                ask(server, 3)
        results, _ = ask(server, 3)
        assert len(jobs(server)) == 2
    assert all(result.value for result in results)


@pytest.mark.parametrize(
    "answer", [GONE[403], GONE[404], TEXT, b""], ids=["403", "404", "text", "empty"]
)
def test_a_lost_file_of_an_earlier_run_is_told_and_does_not_end_this_one(
    ask, monkeypatch, tmp_path, caplog, answer
):
    monkeypatch.setattr("service_llm.providers.gemini_batch._MAX_DOWNLOADS", 2)
    with serve() as server:
        ask(server, 2)
        for note in tmp_path.glob("*.ended"):
            note.unlink()  # as if it had been killed before it had read the replies
        for segment in tmp_path.glob("*.jsonl"):
            segment.unlink()
        monkeypatch.setattr(Files, "read", answering(answer, times=2 if answer == TEXT else 1))
        results, _ = ask(server, 2)
        assert len(jobs(server)) == 2
    assert all(result.value for result in results)
    assert ("of an earlier run returned no replies" in caplog.text) == (answer != b"")


@pytest.mark.parametrize("page", [PAGE, TEXT], ids=["page", "text"])
def test_a_page_in_place_of_a_file_is_asked_for_again_and_costs_no_job(ask, monkeypatch, page):
    monkeypatch.setattr(Files, "read", answering(page, times=2))
    with serve() as server:
        results, _ = ask(server, 2)
        assert len(jobs(server)) == 1
    assert all(result.value for result in results)


@pytest.mark.parametrize("has_keys", [True, False])
def test_replies_of_a_small_job_that_come_inline_are_matched_by_key(ask, monkeypatch, has_keys):
    """https://github.com/maximhq/bifrost/issues/3951: although its requests came in a file."""
    told = Batches._told

    def inline(self, job):
        operation = told(job)
        if name := operation["metadata"].get("output", {}).get("responsesFile"):
            lines = [json.loads(line) for line in self._files.read(name).splitlines()]
            items = [
                {"response": line["response"]}
                | ({"metadata": {"key": line["key"]}} if has_keys else {})
                for line in lines
            ]
            operation["metadata"]["output"] = {"inlinedResponses": {"inlinedResponses": items}}
        return operation

    monkeypatch.setattr(Batches, "_told", inline)
    with serve() as server:
        if not has_keys:
            with pytest.raises(ServiceLLMError, match="none of its replies carries the key"):
                ask(server, 3)
            return
        results, usage = ask(server, 3)
        assert len(jobs(server)) == 1
    assert all(result.value for result in results)
    assert usage.calls == 3


def test_an_odd_field_of_an_inline_reply_costs_no_job(ask, monkeypatch):
    """https://github.com/googleapis/python-genai/issues/2435"""
    told = Batches._told

    def inline(job):
        operation = told(job)
        if operation["done"]:
            replies = [
                {
                    "response": gemini_reply('{"output": "a"}')[1]
                    | {"usageMetadata": {"promptTokenCount": "seven", "serviceTier": "x"}},
                    "metadata": {"key": item.key},
                }
                for item in job["items"]
            ]
            operation |= {"response": {"inlinedResponses": {"inlinedResponses": replies}}}
            del operation["metadata"]["output"]
        return operation

    monkeypatch.setattr(Batches, "_told", staticmethod(inline))
    with serve() as server:
        results, usage = ask(server, 3)
        assert len(jobs(server)) == 1
    assert all(result.value for result in results)
    assert (usage.calls, usage.unknown_calls) == (3, 3)


def refusing(error, refuses):
    """`Batches._reply` that refuses some requests."""
    reply = Batches._reply
    return lambda self, model, request: (
        {"error": error} if refuses(request["generationConfig"]) else reply(self, model, request)
    )


SEED = {"code": 3, "message": "seed is not supported by this model."}
RANGE = {
    "code": 400,
    "message": "Unable to submit request because it has a maxOutputTokens value of 10240 but the "
    "supported range is from 1 (inclusive) to 8193 (exclusive). Update the value and try again.",
}  # https://github.com/BerriAI/litellm/pull/10548


REFUSALS = {
    "seed": (SEED, lambda config: "seed" in config),
    "output limit": (RANGE, lambda config: config["maxOutputTokens"] > 8192),
}


@pytest.mark.parametrize("max_attempts", [1, 6])
@pytest.mark.parametrize(("error", "refuses"), REFUSALS.values(), ids=REFUSALS)
def test_what_all_items_are_refused_for_is_learned_even_with_one_attempt(
    ask, monkeypatch, error, refuses, max_attempts
):
    monkeypatch.setattr(Batches, "_reply", refusing(error, refuses))
    with serve() as server:
        results, _ = ask(server, 3, max_attempts=max_attempts)
        assert len(jobs(server)) == 2
    assert all(result.value for result in results)


def fail_jobs_with_a_seed(monkeypatch):
    """Let each job fail as a whole, once it is done, while its requests carry a seed."""
    told = Batches._told

    def failed(job):
        operation = told(job)
        if operation["done"] and "seed" in job["items"][0].request["generationConfig"]:
            operation |= {"error": SEED, "metadata": {"state": "BATCH_STATE_FAILED"}}
        return operation

    monkeypatch.setattr(Batches, "_told", staticmethod(failed))


def test_a_job_that_fails_as_a_whole_for_a_parameter_is_sent_again_without_it(ask, monkeypatch):
    fail_jobs_with_a_seed(monkeypatch)
    with serve() as server:
        results, _ = ask(server, 3, max_attempts=1)
        assert len(jobs(server)) == 2
    assert all(result.value for result in results)


def test_the_reason_of_a_job_that_failed_is_shown(ask, monkeypatch):
    told = Batches._told
    error = {"code": 13, "message": "An internal error has occurred."}
    monkeypatch.setattr(
        Batches,
        "_told",
        staticmethod(
            lambda job: told(job) | {"error": error, "metadata": {"state": "BATCH_STATE_FAILED"}}
        ),
    )
    with serve() as server, pytest.raises(ServiceLLMError, match=r"FAILED \(An internal error has"):
        ask(server, 3)


def test_jobs_that_were_in_flight_with_the_parameter_are_sent_again(ask, monkeypatch):
    monkeypatch.setattr("service_llm.batch._MAX_IN_A_JOB", 1)
    monkeypatch.setattr(Batches, "_reply", refusing(SEED, lambda config: "seed" in config))
    with serve() as server:
        results, _ = ask(server, 3, max_attempts=1)
        assert len(jobs(server)) == 3 + 3
    assert all(result.value for result in results)


def test_a_parameter_that_a_job_refuses_although_it_was_left_out_ends_the_run(ask, monkeypatch):
    monkeypatch.setattr(Batches, "_reply", refusing(SEED, lambda config: True))
    with serve() as server:
        with pytest.raises(BadRequestError, match="seed is not supported"):
            ask(server, 3)
        assert len(jobs(server)) == 2


@pytest.mark.parametrize("code", [8, 14, "RESOURCE_EXHAUSTED", "overloaded_error"], ids=str)
def test_items_that_are_never_answered_end_the_run_and_are_no_bad_rows(ask, monkeypatch, code):
    error = {"code": code, "message": "Not now."}
    monkeypatch.setattr(Batches, "_reply", refusing(error, lambda config: True))
    with serve() as server:
        with pytest.raises(ServiceLLMError, match=r"Not now.*None of 2 batch jobs"):
            ask(server, 3, max_attempts=2)
        assert len(jobs(server)) == 2


def test_a_pause_of_a_year_is_not_waited_for(ask, monkeypatch):
    detail = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "31536000s"}
    error = {
        "code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Next year.", "details": [detail],
    }  # fmt: skip
    monkeypatch.setattr(Batches, "create", lambda self, model, body: {"error": error})
    with serve() as server, pytest.raises(QuotaError, match=r"Next year.*sent 1 times"):
        ask(server, 3)


@pytest.mark.parametrize("name", ["create", "get"])
def test_a_key_that_is_refused_in_a_200_ends_the_run(ask, monkeypatch, name):
    error = {"error": {"type": "authentication_error", "message": "invalid x-api-key"}}
    monkeypatch.setattr(Batches, name, lambda self, *args: error)
    with serve() as server, pytest.raises(AuthenticationError, match="401 invalid x-api-key"):
        ask(server, 3)


@pytest.mark.parametrize("name", ["create", "get"])
def test_a_page_in_place_of_a_job_is_asked_for_again(ask, monkeypatch, name):
    """As of a gateway that is starting."""
    monkeypatch.setattr(Batches, name, once(PAGE, getattr(Batches, name)))
    with serve() as server:
        results, _ = ask(server, 3)
        assert len(jobs(server)) == 1
    assert all(result.value for result in results)


@pytest.mark.parametrize("body", [{}, [], None], ids=repr)
def test_an_answer_that_tells_nothing_of_a_job_is_not_waited_for_for_ever(ask, monkeypatch, body):
    monkeypatch.setattr(Batches, "get", lambda self, name: body)
    with serve() as server, pytest.raises(UnreachableError, match=r"batches/1|Gemini API"):
        ask(server, 3, give_up_after_seconds=0.05)


def test_a_page_in_place_of_every_answer_is_told_with_the_address(ask, monkeypatch):
    monkeypatch.setattr(Batches, "create", lambda self, *args: PAGE)
    with serve() as server, pytest.raises(UnreachableError, match=r"\(Sign in\).*before /v1beta"):
        ask(server, 3, give_up_after_seconds=0.05)
