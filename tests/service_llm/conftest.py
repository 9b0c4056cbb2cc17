"""A server on loopback whose replies a test decides, in the formats of both providers."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pydantic
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from service_llm.client import open_service_llm
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Request
from tests.published import note, refusal_of
from tests.service_llm.google_cloud import GoogleCloud


class Word(pydantic.BaseModel):
    word: str


class Words(pydantic.BaseModel):
    words: list[str]


def words(count, **fields):
    """Requests that the server answers with their own prompts."""
    return [Request(f"word {number}", Word, **fields) for number in range(count)]


def gemini_reply(text, finish="STOP", prompt_tokens=10, output_tokens=5):
    return 200, {
        "candidates": [
            {"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": finish}
        ],
        "usageMetadata": {
            "promptTokenCount": prompt_tokens,
            "candidatesTokenCount": output_tokens,
            "totalTokenCount": prompt_tokens + output_tokens,
        },
        "modelVersion": "scripted-1",
    }


def gemini_error(code, status, message="no", details=()):
    error = {"code": code, "status": status, "message": message, "details": list(details)}
    return code, {"error": error}


def prompt_of(body):
    if "messages" in body:
        return body["messages"][-1]["content"]
    return body["contents"][0]["parts"][0]["text"]


def openai_reply(text, finish="stop"):
    return 200, {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "local-1",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": text},
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }


VERTEX = {"vertex_project": "team", "vertex_location": "global"}
# What holds for one of them holds for all.
PROVIDERS = {"gemini": {}, "openai": {"provider": "openai"}, "vertex": VERTEX}
GOOD = {
    "gemini": gemini_reply('{"word": "a"}'),
    "openai": openai_reply('{"word": "a"}'),
    "vertex": gemini_reply('{"word": "a"}'),
}


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024  # a whole crowd may connect at once


class ScriptedServer:
    """Answers with `respond(body, number)`; keeps what it received.

    Every request must be of the services' published types: the test fails otherwise. `own_paths`
    are those of another service's protocol.

    An answer is a status, a body (JSON, or bytes as they are) and, where wanted, headers.
    """

    def __init__(self):
        self.bodies = []
        self.headers = []
        self.paths = []
        self.own_paths = ()
        self.respond = lambda body, number: gemini_reply(json.dumps({"word": prompt_of(body)}))
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                body = json.loads(raw)
                with outer._lock:
                    outer.bodies.append(body)
                    outer.headers.append(dict(self.headers))
                    outer.paths.append(self.path)
                    number = len(outer.bodies)
                if self.path not in outer.own_paths:
                    note(refusal_of(self.path, raw))
                status, reply, *more = outer.respond(body, number)
                if status is None:  # the connection breaks off
                    self.close_connection = True
                    return
                data = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
                headers = {"Content-Type": "application/json", "Content-Length": len(data)}
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.send_response(status)
                    for name, value in (headers | dict(*more)).items():
                        self.send_header(name, str(value))
                    self.end_headers()
                    self.wfile.write(data)

            def log_message(self, *args):
                pass

        self._server = _HttpServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def prompts(self):
        return [prompt_of(body) for body in self.bodies]

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server():
    server = ScriptedServer()
    yield server
    server.close()


@pytest.fixture
def other_server():
    server = ScriptedServer()
    yield server
    server.close()


@pytest.fixture
def settings(server, request):
    """Makes settings; those of Vertex AI come with credentials."""

    def make(**changes):
        if changes.get("vertex_project"):
            request.getfixturevalue("cloud")
        values = {
            "provider": "gemini",
            "model": "gemini-2.5-flash",
            "base_url": server.url,
            "requests_per_minute": 60_000,
            "retry_seconds": 0.01,
            "give_up_after_seconds": 1,
        }
        return ServiceLLMSettings(**values | changes)

    return make


@pytest.fixture
def ask(tmp_path, settings):
    """Sends requests through a client of its own; returns the results in order, and the usage."""

    def ask(requests, component="SynthDataGen", round=1, **changes):
        requests = list(requests)
        journal = str(tmp_path / "journal")
        with open_service_llm(
            settings(**changes), journal_uri=journal, component=component, round=round
        ) as llm:
            by_request = {id(result.request): result for result in llm.map(requests)}
            return [by_request[id(request)] for request in requests], llm.usage()

    return ask


@pytest.fixture(scope="session")
def private_key():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@pytest.fixture
def cloud(tmp_path, monkeypatch, private_key):
    """Application-default credentials of a service account."""
    cloud = GoogleCloud()
    file = tmp_path / "account.json"
    file.write_text(
        json.dumps({
            "type": "service_account",
            "project_id": "team",
            "private_key_id": "1",
            "private_key": private_key,
            "client_email": "pipeline@team.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": f"{cloud.url}/token",
        }),
        encoding="utf-8",
    )  # fmt: skip
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    monkeypatch.setattr("core.secret_manager._URL", f"{cloud.url}/v1")
    yield cloud
    cloud.close()


@pytest.fixture
def service_account(cloud):
    """Credentials for Vertex AI, whether or not they are used."""
    return cloud
