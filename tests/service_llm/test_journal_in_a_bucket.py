"""The journal at a `gs://` URI: the real storage client against a bucket on loopback."""

import json
import threading
import time
import urllib.parse
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from google.api_core.exceptions import RetryError, ServiceUnavailable, TooManyRequests
from google.auth.exceptions import TransportError
from google.cloud import storage

from core.errors import OutageError, UserError
from service_llm.client import open_service_llm
from service_llm.journal.journal import Entry, Journal
from service_llm.types import Finish, Reply
from tests.service_llm.conftest import gemini_reply, words

REPLY = Reply('{"word": "ä"}', Finish.STOP, 10, 5, "v1")


class Bucket:
    """The part of Cloud Storage's JSON API that uploads, lists and downloads objects."""

    def __init__(self):
        self.objects = {}
        self.lost_answers = 0  # uploads that succeed, but are answered with 503
        self.status = None  # of every answer, where it is set
        self.seconds = 0.0  # until an upload is answered
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                query = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
                kind = self.headers["Content-Type"].encode()
                data = self.rfile.read(int(self.headers["Content-Length"]))
                parts = BytesParser().parsebytes(b"Content-Type: " + kind + b"\r\n\r\n" + data)
                metadata, content = (p.get_payload(decode=True) for p in parts.get_payload())
                name = json.loads(metadata)["name"]
                time.sleep(outer.seconds)
                if outer.status:
                    self.answer(outer.status, {"error": {"message": "not allowed"}})
                elif query.get("ifGenerationMatch") == ["0"] and name in outer.objects:
                    self.answer(412, {"error": {"code": 412, "message": "exists"}})
                else:
                    outer.objects[name] = content
                    if outer.lost_answers:
                        outer.lost_answers -= 1
                        self.answer(503, {"error": {"message": "try again"}})
                    else:
                        self.answer(200, {"name": name, "generation": "1"})

            def do_GET(self):
                url = urllib.parse.urlparse(self.path)
                name = urllib.parse.unquote(url.path.partition("/o/")[2])
                if outer.status:
                    self.answer(outer.status, {"error": {"message": "not allowed"}})
                elif name in outer.objects:
                    self.answer(200, outer.objects[name])
                elif name:
                    self.answer(404, {"error": {"code": 404, "message": "no such object"}})
                else:
                    prefix = urllib.parse.parse_qs(url.query)["prefix"][0]
                    names = sorted(n for n in outer.objects if n.startswith(prefix))
                    self.answer(200, {"items": [{"name": n, "generation": "1"} for n in names]})

            def answer(self, status, body):
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def bucket(monkeypatch):
    bucket = Bucket()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)
    yield bucket
    bucket.close()


@pytest.fixture
def journal(bucket):
    journals = []

    def open_journal():
        journals.append(Journal("gs://team/pipelines/journal"))
        return journals[-1]

    yield open_journal
    for journal in journals:
        journal.close()


def test_replies_outlive_the_machine(journal, bucket):
    keys = [f"{number:064x}" for number in range(3)]
    first = journal()
    for key in keys:
        first.append(Entry(key, "openai/m", "c", 1, REPLY, None, 0.5)).result()
        assert first.answer(key) == REPLY
    assert all(name.startswith("pipelines/journal/") for name in bucket.objects)
    again = journal()
    assert [again.answer(key) for key in keys] == [REPLY] * 3
    assert again.usage("c", 1).calls == 3


def test_the_salt_is_made_once(journal):
    assert journal().salt() == journal().salt()


def test_notes_are_written_once_and_found_by_their_suffix(journal):
    first = journal()
    assert first.note("a.job") is None
    assert first.note("a.job", "batches/1") == "batches/1"
    assert journal().note("a.job", "batches/2") == "batches/1"
    first.note("b.batch", "{}")
    assert journal().notes(".job") == {"a.job": "batches/1"}


def test_a_run_is_resumed_from_a_bucket(bucket, settings, server):
    def run(count):
        with open_service_llm(
            settings(), journal_uri="gs://team/pipelines/journal", component="c", round=1
        ) as llm:
            results = sorted((r.value.word, r.from_journal) for r in llm.map(words(count)))
            return results, llm.usage().calls

    first, calls = run(20)
    assert (len(server.bodies), calls) == (20, 20)
    assert not any(from_journal for _, from_journal in first)
    again, calls = run(21)
    assert (len(server.bodies), calls) == (21, 21)
    assert [word for word, from_journal in again if not from_journal] == ["word 20"]


def test_an_upload_whose_answer_was_lost_is_no_failure(journal, bucket):
    key = "ab" * 32
    bucket.lost_answers = 1
    first = journal()
    first.append(Entry(key, "openai/m", "c", 1, REPLY, None, 0.5)).result()
    assert first.answer(key) == journal().answer(key) == REPLY
    assert journal().usage("c", 1).calls == 1


@pytest.mark.parametrize("status", [403, 404])
def test_a_bucket_that_may_not_be_used_is_told(bucket, journal, status):
    open_journal = journal()
    bucket.status = status
    for use in (journal, open_journal.salt, lambda: open_journal.notes(".job")):
        with pytest.raises(UserError, match=r"gs://team/pipelines/journal.*Storage Object User"):
            use()


@pytest.mark.parametrize(
    "error",
    [
        ServiceUnavailable("try later"),
        TooManyRequests("slow down"),
        RetryError("given up", cause=None),
        requests.ConnectionError("reset by peer"),
        TransportError("no metadata server"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_outage_of_the_bucket_is_none_of_its_roles(bucket, journal, monkeypatch, error):
    def list_blobs(self, **options):
        raise error

    open_journal = journal()
    monkeypatch.setattr(storage.Bucket, "list_blobs", list_blobs)
    with pytest.raises(OutageError, match=r"gs://team/pipelines/journal cannot be reached now"):
        open_journal.notes(".job")


@pytest.mark.parametrize("answered_before", [False, True])
def test_a_bucket_that_fails_in_the_middle_of_a_run_is_told(
    bucket, settings, server, tmp_path, answered_before
):
    """Also where the limiter knows from another component that the service can take a crowd."""
    if answered_before:
        with open_service_llm(settings(), journal_uri=str(tmp_path), component="b", round=1) as llm:
            list(llm.map(words(1)))
        server.bodies.clear()
    bucket.seconds = 0.3  # in which a crowd of requests could be sent
    server.respond = lambda body, number: (
        setattr(bucket, "status", 403) or gemini_reply('{"word": "a"}')
    )
    with (
        open_service_llm(
            settings(), journal_uri="gs://team/journal", component="c", round=1
        ) as llm,
        pytest.raises(UserError, match="Storage Object User"),
    ):
        list(llm.map(words(50)))
    assert len(server.bodies) == 1, "no more is paid for that cannot be kept"
