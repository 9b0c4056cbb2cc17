"""However a batch job of Vertex AI ends: what it answered is read, and only the rest sent again."""

import json

import google.auth
import pytest
from google.cloud import storage

from service_llm.batch_runner import JobRunner
from service_llm.errors import ServiceLLMError
from standin.prediction_jobs import PredictionJobs
from standin.server import serve
from tests.service_llm.test_vertex_batch import ask, created

__all__ = ["ask", "created"]  # fixtures


def in_files(names):
    """`PredictionJobs._ended` whose lines are in other files."""
    ended = PredictionJobs._ended

    def moved(self, job):
        told = ended(self, job)
        folder = told["outputInfo"]["gcsOutputDirectory"]
        lines = self._buckets.read(f"{folder}/predictions.jsonl").split(b"\n")
        for name in ("predictions.jsonl", "incremental_predictions.jsonl"):
            self._buckets.delete(f"{folder}/{name}")
        for name, part in names.items():
            self._buckets.write(f"{folder}/{name}", b"\n".join(lines[part]))
        return told

    return moved


FIRST, REST, ALL = slice(0, 2), slice(2, None), slice(None)
OUTPUTS = {
    "shards": {
        "predictions.jsonl-00000-of-00002": FIRST,
        "predictions.jsonl-00001-of-00002": REST,
        "incremental_predictions.jsonl": ALL,
        "incremental_predictions.jsonl-00000-of-00001": ALL,
        "row_count.json": ALL,
        "old_predictions.jsonl": ALL,
        "predictions.jsonl.metadata": ALL,
    },
    "rows of a job that runs": {"incremental_predictions.jsonl": ALL, "other.jsonl": ALL},
    "an empty file": {"predictions.jsonl": slice(0, 0), "incremental_predictions.jsonl": ALL},
}


@pytest.mark.parametrize("names", OUTPUTS.values(), ids=OUTPUTS)
def test_the_files_of_replies_are_read_and_no_others(ask, monkeypatch, created, caplog, names):
    monkeypatch.setattr(PredictionJobs, "_ended", in_files(names))
    with serve() as server:
        results, usage = ask(server, 5)
    assert all(result.value for result in results)
    assert (len(created), usage.calls) == (1, 5)
    assert "carry the key of no request" not in caplog.text


def test_a_job_that_does_not_say_where_its_output_is_is_looked_for(ask, monkeypatch, created):
    ended = PredictionJobs._ended
    monkeypatch.setattr(
        PredictionJobs, "_ended", lambda self, job: {"state": ended(self, job)["state"]}
    )
    with serve() as server:
        results, usage = ask(server, 5)
    assert all(result.value for result in results)
    assert (len(created), usage.calls) == (1, 5)


def ending_early(state, keeps, *, says_where=True, error=None, times=1):
    """`PredictionJobs._ended` of jobs that end so, with the rows that `keeps` leaves."""
    ended, left = PredictionJobs._ended, [times]

    def early(self, job):
        told = ended(self, job)
        if not left[0]:
            return told
        left[0] -= 1
        folder = told["outputInfo"]["gcsOutputDirectory"]
        lines = self._buckets.read(f"{folder}/predictions.jsonl").split(b"\n")
        for name in ("predictions.jsonl", "incremental_predictions.jsonl"):
            self._buckets.delete(f"{folder}/{name}")
        if kept := keeps(lines):
            self._buckets.write(f"{folder}/predictions.jsonl", b"\n".join(kept))
        told |= {"state": f"JOB_STATE_{state}"} | ({"error": error} if error else {})
        if not says_where:
            del told["outputInfo"]
        return told

    return early


def first_two(lines):
    return lines[:2]


def with_unanswered(lines):
    """The rows that a job did not come to are in its output, too."""
    rest = [json.loads(line) | {"response": {}, "status": "Job expired."} for line in lines[2:]]
    return lines[:2] + [json.dumps(line).encode() for line in rest]


def sizes(created):
    """How many requests each job was given."""
    bucket = storage.Client(project="team", credentials=google.auth.default()[0]).bucket("team")
    uris = [uri for body in created for uri in body["inputConfig"]["gcsSource"]["uris"]]
    texts = [bucket.blob(uri.removeprefix("gs://team/")).download_as_text() for uri in uris]
    return [text.count("\n") for text in texts]


@pytest.mark.parametrize("says_where", [True, False], ids=["told", "not told"])
@pytest.mark.parametrize("keeps", [first_two, with_unanswered])
@pytest.mark.parametrize("state", ["EXPIRED", "CANCELLED", "FAILED"])
def test_what_a_job_answered_before_it_ended_is_kept_and_the_rest_is_sent_again(
    ask, monkeypatch, created, state, keeps, says_where
):
    """Completed rows are exported and paid for, whatever a job ends as."""
    error = {"code": 9, "message": "It was stopped."}
    early = ending_early(state, keeps, says_where=says_where, error=error)
    monkeypatch.setattr(PredictionJobs, "_ended", early)
    with serve() as server:
        results, usage = ask(server, 5, max_attempts=2)
        assert sizes(created) == [5, 3]
    assert all(result.value for result in results)
    assert usage.calls == 5


def killed(self, name):
    raise KeyboardInterrupt


def test_what_a_job_answered_that_nobody_waited_for_is_kept_too(ask, monkeypatch, created):
    monkeypatch.setattr(PredictionJobs, "_ended", ending_early("EXPIRED", first_two))
    with serve() as server:
        with monkeypatch.context() as patch:
            patch.setattr(JobRunner, "ended", killed)
            with pytest.raises(KeyboardInterrupt):
                ask(server, 5)
        results, usage = ask(server, 5)
        assert sizes(created) == [5, 3]
    assert [result.from_journal for result in results].count(True) == 2
    assert usage.calls == 5


def test_a_job_that_ended_early_without_a_reply_ends_the_run_with_its_reason(
    ask, monkeypatch, created
):
    error = {"code": 8, "message": "No capacity in 24 hours."}
    early = ending_early("EXPIRED", lambda lines: [], error=error)
    monkeypatch.setattr(PredictionJobs, "_ended", early)
    with serve() as server:
        with pytest.raises(
            ServiceLLMError, match=r"it ended as EXPIRED \(No capacity in 24 hours.\).*same command"
        ):
            ask(server, 3)
        assert len(created) == 1
        results, _ = ask(server, 3)
    assert all(result.value for result in results)


@pytest.mark.parametrize("state", ["PAUSED", "SOMETHING_NEW", "UNSPECIFIED"])
def test_a_job_that_does_not_go_on_is_given_up_and_stays_on_record(
    ask, monkeypatch, created, tmp_path, state
):
    get, looks = PredictionJobs.get, []

    def stopped(self, name):
        looks.append(name)
        return get(self, name) | {"state": f"JOB_STATE_{state}"}

    with serve() as server:
        with monkeypatch.context() as patch:
            patch.setattr(PredictionJobs, "get", stopped)
            with pytest.raises(
                ServiceLLMError, match=rf"'{state}'.*Resume or cancel.*stays on record.*same comm"
            ):
                ask(server, 3, give_up_after_seconds=0.02, batch_poll_seconds=0.01)
        assert 3 <= len(looks) <= 4, "it was waited for"
        assert not list((tmp_path / "journal").glob("*.ended"))
        results, usage = ask(server, 3)
    assert all(result.value for result in results)
    assert (len(created), usage.calls) == (1, 3)


def test_a_job_that_is_in_progress_is_waited_for_for_longer(ask, monkeypatch, created):
    get, looks = PredictionJobs.get, []

    def slow(self, name):
        looks.append(name)
        states = ("QUEUED", "PENDING", "RUNNING", "PAUSED", "UPDATING", "CANCELLING")
        told = get(self, name)
        return told if len(looks) > 30 else told | {"state": f"JOB_STATE_{states[len(looks) % 6]}"}

    monkeypatch.setattr(PredictionJobs, "get", slow)
    with serve() as server:
        results, _ = ask(server, 3, give_up_after_seconds=0.01, batch_poll_seconds=0.005)
    assert all(result.value for result in results)
    assert len(created) == 1
