"""The journal at a `gs://` URI: the real storage client against a bucket on loopback."""

import json
import threading
import urllib.parse
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from components.service_llm.journal import Entry, Journal
from components.service_llm.types import Finish, Reply

REPLY = Reply('{"word": "ä"}', Finish.STOP, 10, 5, "v1")


class Bucket:
    """The part of Cloud Storage's JSON API that uploads, lists and downloads objects."""

    def __init__(self):
        self.objects = {}
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
                if query.get("ifGenerationMatch") == ["0"] and name in outer.objects:
                    self.answer(412, {"error": {"code": 412, "message": "exists"}})
                else:
                    outer.objects[name] = content
                    self.answer(200, {"name": name, "generation": "1"})

            def do_GET(self):
                url = urllib.parse.urlparse(self.path)
                name = urllib.parse.unquote(url.path.partition("/o/")[2])
                if name in outer.objects:
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
