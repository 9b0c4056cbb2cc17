"""Errors that the Batch API answers with status 200, and errors of single requests in a job."""

import json

import pytest

from service_llm.errors import AuthenticationError, BadRequestError, CreditError
from standin.batches import Batches
from standin.files import Files
from standin.server import serve
from tests.service_llm.test_batch import ask, jobs

__all__ = ["ask"]  # a fixture

UNAVAILABLE = {"error": {"code": 503, "message": "Overloaded.", "status": "UNAVAILABLE"}}


def once(body, method):
    """A method that answers its first call with a body."""
    answers = [body]

    def call(self, *args):
        return answers.pop() if answers else method(self, *args)

    return call


@pytest.mark.parametrize(
    ("owner", "name", "body"),
    [
        (Batches, "create", UNAVAILABLE),
        (Batches, "create", {}),
        (Batches, "get", UNAVAILABLE),
        (Files, "read", json.dumps(UNAVAILABLE, indent=2).encode()),
        (Files, "upload", ({"X-Goog-Upload-Status": "final"}, UNAVAILABLE)),
        (Files, "upload", ({"X-Goog-Upload-Status": "final"}, {"file": {}})),
    ],
    ids=["create", "create without a name", "get", "download", "upload", "upload without a file"],
)
def test_an_error_in_a_200_is_no_answer_about_a_job(ask, monkeypatch, tmp_path, owner, name, body):
    with serve() as server:
        # The job's file is read once by the stand-in itself.
        method = getattr(owner, name)
        if owner is Files and name == "read":
            first = []

            def read(self, file):
                content = method(self, file)
                if b'"response"' in content and not first:
                    first.append(file)
                    return body
                return content

            monkeypatch.setattr(owner, name, read)
        else:
            monkeypatch.setattr(owner, name, once(body, method))
        results, usage = ask(server, 3)
        assert len(jobs(server)) == 1
        assert server.stats()["answered"] == 3
    assert all(result.value for result in results)
    assert usage.calls == 3
    assert [note.read_text() for note in tmp_path.glob("*.job")] == ["batches/1"]


def test_an_error_in_a_200_of_the_list_does_not_submit_a_job_again(ask, monkeypatch):
    """The job was created although its response was an error; the list then fails, too."""
    create, listed = Batches.create, Batches.jobs
    lost, failed = [], []

    def created(self, *args):
        job = create(self, *args)
        return job if lost or lost.append(job) else UNAVAILABLE

    def list_jobs(self):
        return listed(self) if failed or failed.append(1) else UNAVAILABLE

    monkeypatch.setattr(Batches, "create", created)
    monkeypatch.setattr(Batches, "jobs", list_jobs)
    with serve() as server:
        results, _ = ask(server, 3)
        assert len(jobs(server)) == 1
    assert all(result.value for result in results)


@pytest.mark.parametrize("name", ["None", ""])
def test_a_note_that_names_no_job_does_not_hold_up_the_next_run(ask, tmp_path, name):
    note = {"id": "a", "component": "c", "round": 1, "keys": ["00"]}
    (tmp_path / "a.batch").write_text(json.dumps(note), encoding="utf-8")
    (tmp_path / "a.job").write_text(name, encoding="utf-8")
    with serve() as server:
        results, _ = ask(server, 3)
    assert all(result.value for result in results)
    assert (tmp_path / "a.ended").exists()


def test_a_file_of_one_reply_is_no_error_as_a_whole(ask):
    with pytest.MonkeyPatch.context() as patch, serve() as server:
        error = {"error": {"code": 13, "message": "Internal error."}}
        patch.setattr(Batches, "_reply", once(error, Batches._reply))
        (result,), _ = ask(server, 1)
        assert len(jobs(server)) == 2
    assert result.value


def without_reply_to(message):
    """A job's output whose line for one request is missing."""
    output = Batches._told

    def told(self, job):
        told = output(job)
        if name := told["metadata"].get("output", {}).get("responsesFile"):
            lost = {item.key for item in job["items"] if message in json.dumps(item.request)}
            lines = self._files.read(name).decode().splitlines(keepends=True)
            kept = "".join(line for line in lines if json.loads(line)["key"] not in lost)
            told["metadata"]["output"] = {"responsesFile": self._files.create(kept.encode())}
        return told

    return told


@pytest.mark.parametrize("asked_before", [0, 2], ids=["in this run", "in an earlier run"])
def test_a_request_whose_reply_never_comes_ends_as_its_own_failure(ask, monkeypatch, asked_before):
    monkeypatch.setattr(Batches, "_told", without_reply_to("order 3?"))
    with serve() as server:
        if asked_before:
            ask(server, 3)
            messages = [f"Where is order {number}?" for number in (0, 1, 2, 3)]
        else:
            messages = 4
        results, _ = ask(server, messages, max_attempts=2)
        assert len(jobs(server)) == (3 if asked_before else 2)
    assert [result.error for result in results] == [None, None, None, "refused"]
    assert "no reply came back with its key" in results[3].raw


BESIDE_AN_ERROR = {
    "error": {"response": {}, "error": {"code": 3, "message": "A forbidden word."}},
    "inside": {"response": {"error": {"code": 400, "message": "A forbidden word."}}},
    "phrase": {"status": "Bad Request: A forbidden word.", "response": {}},
    "phrase and JSON": {
        "status": 'Bad Request: {"error": {"code": 400, "message": "A forbidden word.", '
        '"status": "INVALID_ARGUMENT"}}',
        "response": {},
    },
    "RPC name": {"status": "INVALID_ARGUMENT: A forbidden word.", "response": {}},
}


@pytest.mark.parametrize("line", BESIDE_AN_ERROR.values(), ids=BESIDE_AN_ERROR)
def test_an_error_beside_an_empty_response_is_that_error(ask, monkeypatch, line):
    """https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/batch-prediction-gemini"""
    reply = Batches._reply
    monkeypatch.setattr(
        Batches,
        "_reply",
        lambda self, model, request: (
            line if "order 1?" in json.dumps(request) else reply(self, model, request)
        ),
    )
    with serve() as server:
        results, _ = ask(server, 3)
        assert len(jobs(server)) == 1, "it would be refused again"
    assert [result.error for result in results] == [None, "refused", None]
    assert "forbidden word" in results[1].raw


@pytest.mark.parametrize("status", ["", "OK", {}, {"code": 0}], ids=repr)
def test_a_status_that_says_that_all_is_well_hides_no_reply(ask, monkeypatch, status):
    reply = Batches._reply
    monkeypatch.setattr(
        Batches,
        "_reply",
        lambda self, model, request: {"status": status, **reply(self, model, request)},
    )
    with serve() as server:
        results, _ = ask(server, 2)
        assert len(jobs(server)) == 1
    assert all(result.value for result in results)


def test_a_parameter_that_the_model_refuses_is_left_out_of_the_next_job(ask, monkeypatch):
    reply = Batches._reply

    def refuse_seed(self, model, request):
        if "seed" in request["generationConfig"]:
            return {"error": {"code": 3, "message": "seed is not supported by this model."}}
        return reply(self, model, request)

    monkeypatch.setattr(Batches, "_reply", refuse_seed)
    with serve() as server:
        results, _ = ask(server, 3)
        assert len(jobs(server)) == 2
    assert all(result.value for result in results)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": 16, "message": "The key has expired."}, AuthenticationError),
        ({"code": 402, "message": "The key has expired."}, CreditError),
    ],
    ids=["key", "credit"],
)
def test_what_no_request_would_get_past_ends_the_run_and_keeps_the_replies(
    ask, monkeypatch, error, kind
):
    reply = Batches._reply
    with serve() as server:
        with monkeypatch.context() as patch:
            patch.setattr(
                Batches,
                "_reply",
                lambda self, model, request: (
                    {"error": error}
                    if "order 1?" in json.dumps(request)
                    else reply(self, model, request)
                ),
            )
            with pytest.raises(kind, match="The key has expired"):
                ask(server, 3)
        results, usage = ask(server, 3)
        assert len(jobs(server)) == 2
    assert [result.from_journal for result in results] == [True, False, True]
    assert usage.calls == 3


def test_a_request_that_is_forbidden_while_others_are_answered_ends_as_its_own(ask, monkeypatch):
    reply = Batches._reply
    error = {"error": {"code": 7, "message": "Not for you."}}
    monkeypatch.setattr(
        Batches,
        "_reply",
        lambda self, model, request: (
            error if "order 1?" in json.dumps(request) else reply(self, model, request)
        ),
    )
    with serve() as server:
        results, _ = ask(server, 3)
        assert len(jobs(server)) == 1
        with pytest.raises(AuthenticationError, match="Not for you"):
            ask(server, ["What about order 1?"])
    assert [result.error for result in results] == [None, "refused", None]
    assert "Not for you." in results[1].raw


def lines_as(change):
    """A job's output with each line changed."""
    output = Batches._told

    def told(self, job):
        told = output(job)
        if name := told["metadata"].get("output", {}).get("responsesFile"):
            lines = map(json.loads, self._files.read(name).decode().splitlines())
            text = "\n".join(json.dumps(change(line)) for line in lines)
            told["metadata"]["output"] = {"responsesFile": self._files.create(text.encode())}
        return told

    return told


@pytest.mark.parametrize(
    ("asked", "change", "said"),
    [
        (2, lambda line: {"response": line["response"]}, "no reply came back with its key"),
        (1, lambda line: {"error": {"code": 3, "message": "Forbidden."}}, "Forbidden."),
        (
            2,
            lambda line: (
                line
                if line["key"].startswith("0-")
                else {"error": {"code": 3, "message": "Forbidden."}}
            ),
            "Forbidden.",
        ),
    ],
    ids=["replies", "one error", "an error beside a reply"],
)
def test_what_comes_back_without_a_key_is_not_asked_for_again(
    ask, monkeypatch, asked, change, said
):
    """It would come back, and be paid for, in the same way."""
    with serve() as server:
        ask(server, ["How do I pair device 1?"])
        monkeypatch.setattr(Batches, "_told", lines_as(change))
        results, _ = ask(server, asked)
        assert len(jobs(server)) == 2, "one for each call"
    assert results[-1].error == "refused"
    assert said in results[-1].raw


def test_a_first_job_that_is_refused_as_a_whole_ends_the_run(ask, monkeypatch):
    error = {"error": {"code": 3, "message": "Batches of this model are not served."}}
    with serve() as server:
        with monkeypatch.context() as patch:
            patch.setattr(Batches, "_reply", lambda self, model, request: error)
            with pytest.raises(BadRequestError, match=r"not served.*all 3 requests of the first"):
                ask(server, 3)
            assert len(jobs(server)) == 1
        results, _ = ask(server, 3)
        assert all(result.value for result in results)
        monkeypatch.setattr(Batches, "_reply", lambda self, model, request: error)
        results, _ = ask(server, ["Where is order 0?", "What is wrong?"])
    assert [result.error for result in results] == [None, "refused"]
