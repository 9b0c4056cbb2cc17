"""What is on record of batch jobs: where they are, and which of their replies were read."""

import json

import pytest

from service_llm.batch_jobs import BatchJob, place_of
from service_llm.batch_runner import JobRunner
from service_llm.client import open_service_llm
from service_llm.settings import ServiceLLMSettings
from standin.batches import Batches
from standin.prediction_jobs import PredictionJobs
from standin.server import serve
from tests.service_llm import test_vertex_batch
from tests.service_llm.test_batch import ask, jobs, requests, settings
from tests.service_llm.test_vertex_batch import created

__all__ = ["ask", "ask_vertex", "created"]  # fixtures

ask_vertex = test_vertex_batch.ask


def killed(self, *args):
    raise KeyboardInterrupt


def ask_and_be_killed(ask, monkeypatch, at, *args, **changes):
    """Ask, in a process that is killed when it comes to a method of the runner."""
    with monkeypatch.context() as patch:
        patch.setattr(JobRunner, at, killed)
        with pytest.raises(KeyboardInterrupt):
            ask(*args, **changes)


def lines(folder):
    """The journal's lines."""
    texts = [path.read_text(encoding="utf-8") for path in folder.glob("*.jsonl")]
    return [json.loads(line) for text in texts for line in text.splitlines()]


@pytest.mark.parametrize("first", ["europe-west4", "global"])
def test_a_job_in_another_location_is_left_on_record_until_that_is_asked_again(
    ask_vertex, monkeypatch, created, caplog, tmp_path, first
):
    second = "us-central1" if first == "global" else "global"
    asked, get = [], PredictionJobs.get
    monkeypatch.setattr(
        PredictionJobs, "get", lambda self, name: asked.append(name) or get(self, name)
    )
    with serve() as server:
        ask_and_be_killed(ask_vertex, monkeypatch, "ended", server, 3, vertex_location=first)
        results, usage = ask_vertex(server, 3, vertex_location=second)
        assert all(f"/locations/{second}/" in name for name in asked)
        assert all(result.value for result in results)
        assert (len(created), usage.calls) == (2, 3)
        told = [record.getMessage() for record in caplog.records if "left on record" in record.msg]
        assert len(told) == 1
        assert f"location {second}), but of" in told[0]
        assert f"location {first}): it is left on record" in told[0]
        _, usage = ask_vertex(server, 3, vertex_location=first)
        assert (len(created), usage.calls) == (2, 6), "they were paid for, too"
    assert len(list((tmp_path / "journal").glob("*.ended"))) == 2


def test_a_job_that_is_left_on_record_is_said_once_by_each_component(
    ask, monkeypatch, tmp_path, caplog
):
    with serve() as server:
        ask_and_be_killed(ask, monkeypatch, "ended", server, 3, model="stand-in-judge")
        with open_service_llm(
            settings(server), journal_uri=str(tmp_path), component="c", round=1
        ) as llm:
            for asked in (1, 2):
                assert all(result.value for result in llm.map(requests(asked)))
    assert caplog.text.count("left on record") == 1


def test_a_job_of_google_ai_studio_does_not_hold_up_vertex(
    ask, ask_vertex, monkeypatch, created, tmp_path, caplog
):
    with serve() as server:
        ask_and_be_killed(ask, monkeypatch, "ended", server, 3)
        (note,) = tmp_path.glob("*.batch")
        (tmp_path / "journal").mkdir()
        for file in tmp_path.glob(f"{note.stem}.*"):
            file.rename(tmp_path / "journal" / file.name)
        results, usage = ask_vertex(server, 3)
    assert all(result.value for result in results)
    assert (len(created), usage.calls) == (1, 3)
    assert "read by the next run with the settings that it was started with" in caplog.text


def test_a_job_of_another_model_is_neither_read_nor_priced_as_this_one(ask, monkeypatch, tmp_path):
    with serve() as server:
        ask_and_be_killed(ask, monkeypatch, "ended", server, 3, model="stand-in-judge")
        ask(server, 3)
        ask(server, 3, model="stand-in-judge")
        assert len(jobs(server)) == 2
        services = [line["service"].removesuffix("/") for line in lines(tmp_path)]
        expected = [
            f"gemini/{server.url}/{model}" for model in ("stand-in-batch", "stand-in-judge")
        ]
    assert sorted(services) == sorted(expected * 3)


STUDIO = {"provider": "gemini", "model": "m", "api_key_env": "KEY"}
VERTEX = {"provider": "gemini", "model": "m", "vertex_project": "team", "batch_uri": "gs://team/b"}
IN_GLOBAL = "projects/123/locations/global/batchPredictionJobs/1"


@pytest.mark.parametrize(
    ("name", "values", "is_elsewhere"),
    [
        ("batches/1", STUDIO, False),
        (IN_GLOBAL, STUDIO, True),
        ("batches/1", VERTEX, True),
        (IN_GLOBAL, VERTEX, False),
        (IN_GLOBAL, VERTEX | {"vertex_location": "europe-west4"}, True),
        (None, STUDIO, False),
        ("None", VERTEX, False),
    ],
)
def test_the_name_of_an_earlier_versions_job_says_where_it_is(name, values, is_elsewhere):
    """Of the project it gives the number: the settings name it."""
    assert (
        BatchJob("a", "c", 1, []).is_elsewhere(name, ServiceLLMSettings(**values)) == is_elsewhere
    )


def test_a_place_is_a_model_in_a_project_and_a_location_or_at_an_address():
    values = [
        STUDIO,
        STUDIO | {"base_url": "http://127.0.0.1:1"},
        STUDIO | {"model": "n"},
        STUDIO | {"model_version": "2"},
        VERTEX,
        VERTEX | {"vertex_project": "other"},
        VERTEX | {"vertex_location": "us"},
    ]
    places = [place_of(ServiceLLMSettings(**one)) for one in values]
    assert len(set(places)) == len(values)
    assert places[0] == "m (Google AI Studio)"
    assert places[4] == "m (Vertex AI, project team, location global)"
    same = STUDIO | {"api_key_env": "ANOTHER", "requests_per_minute": 7, "batch": True}
    assert place_of(ServiceLLMSettings(**same)) == places[0]


def test_a_reply_is_written_and_counted_once_whenever_the_process_is_killed(
    ask, monkeypatch, tmp_path
):
    """Readable, cut off and without a key: a line of the journal was paid for once."""
    reply = Batches._reply

    def spoiled(self, model, request):
        item = reply(self, model, request)
        if "order 1?" in json.dumps(request):
            item["response"]["candidates"][0]["finishReason"] = "MAX_TOKENS"
        if "order 2?" in json.dumps(request):
            item["response"]["candidates"][0]["content"]["parts"] = [{"text": "no JSON"}]
        return item

    monkeypatch.setattr(Batches, "_reply", spoiled)
    monkeypatch.setattr(Batches, "_told", with_a_stranger(Batches._told))
    with serve() as server:
        ask_and_be_killed(ask, monkeypatch, "note_end", server, 4)
        written = lines(tmp_path)
        ask_and_be_killed(ask, monkeypatch, "note_end", server, 4)
        assert lines(tmp_path) == written, "the process that took the job up wrote nothing"
        ask_and_be_killed(ask, monkeypatch, "submitted", server, 4)
    sources = [line["source"] for line in lines(tmp_path)]
    assert len(sources) == len(set(sources)) == 4 + 1
    assert sum(line["error"] == "unmatched" for line in lines(tmp_path)) == 1


def with_a_stranger(output):
    """A job's output with a further reply that has no key."""

    def told(self, job):
        told = output(job)
        if name := told["metadata"].get("output", {}).get("responsesFile"):
            content = self._files.read(name).decode()
            line = json.loads(content.splitlines()[0])
            stranger = json.dumps({"response": line["response"]})
            text = f"{content}{stranger}\n"
            told["metadata"]["output"] = {"responsesFile": self._files.create(text.encode())}
        return told

    return told


def test_what_was_paid_for_twice_is_counted_twice(ask, monkeypatch, tmp_path):
    """A request that is in a job twice is two replies, also where the job is taken up."""
    twice = ["Where is order 1?", "Where is order 1?"]
    with serve() as server:
        ask_and_be_killed(ask, monkeypatch, "ended", server, twice)
        _, usage = ask(server, twice)
        assert server.stats()["answered"] == 2
    assert usage.calls == len(lines(tmp_path)) == 2
