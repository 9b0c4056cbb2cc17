"""A server on loopback whose replies a test decides, in the formats of both providers."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pydantic
import pytest

from components.service_llm.client import open_service_llm
from components.service_llm.settings import ServiceLLMSettings


class Word(pydantic.BaseModel):
    word: str


class Words(pydantic.BaseModel):
    words: list[str]


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


class ScriptedServer:
    """Answers with `respond(body, number)`, a status and a JSON body; keeps what it received."""

    def __init__(self):
        self.bodies = []
        self.headers = []
        self.respond = lambda body, number: gemini_reply(json.dumps({"word": prompt_of(body)}))
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer._lock:
                    outer.bodies.append(body)
                    outer.headers.append(dict(self.headers))
                    number = len(outer.bodies)
                status, reply = outer.respond(body, number)
                data = json.dumps(reply).encode()
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
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
def settings(server):
    def make(**changes):
        values = {
            "provider": "gemini",
            "model": "gemini-2.5-flash",
            "base_url": server.url,
            "requests_per_minute": 60_000,
            "retry_seconds": 0.01,
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
