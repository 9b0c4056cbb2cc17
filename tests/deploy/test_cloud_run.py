"""The gateway can ask the pushed model in vLLM on Cloud Run, as docs/vertex.md has it."""

import asyncio
import http.server
import json
import re
import shlex
import threading
from pathlib import Path

import aiohttp
import pydantic
import pytest
import yaml
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming

from core.errors import UserError
from serving.gateway.local_model import LocalModel
from serving.gateway.protocols.base import Ask
from serving.gateway.task import Message
from serving.model.host import TunedModels
from serving.settings import ServingSettings
from tests.published import note, refusal_of
from tests.serving.conftest import preset_of

GUIDE = (Path(__file__).parents[2] / "docs" / "vertex.md").read_text(encoding="utf-8")
SECTION = GUIDE.partition("## Serve the model\n")[2].partition("\n## ")[0]
KEY = "0123456789abcdef"
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
_CREATE = pydantic.TypeAdapter(CompletionCreateParamsStreaming)
_KNOWN = set(CompletionCreateParamsStreaming.__annotations__)
for base in CompletionCreateParamsStreaming.__orig_bases__:
    _KNOWN |= set(getattr(base, "__annotations__", {}))


def _command():
    text = SECTION.replace("\\\n", " ")
    words = shlex.split(re.search(r"gcloud (run deploy .*)", text)[1])
    return dict(word[2:].partition("=")[::2] for word in words if word.startswith("--"))


def _preset():
    return yaml.safe_load(re.search(r"```yaml\n(.*?)```", SECTION, re.DOTALL)[1])["serving"][
        "model"
    ]


class _VLLM(http.server.BaseHTTPRequestHandler):
    """vLLM's server with `VLLM_API_KEY`: routes under /v1 want it, and streams end with usage."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self._answer(None)

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/tokenize":  # vLLM's own
            note(refusal_of(self.path, raw))
        self._answer(json.loads(raw))

    def _answer(self, body):
        if self.path.startswith("/v1") and self.headers["Authorization"] != f"Bearer {KEY}":
            return self._send(401, {"error": "Unauthorized"})
        route = (self.command, self.path)
        if route == ("GET", "/v1/models"):
            return self._send(200, {"data": [{"id": "tuned", "max_model_len": 4096}]})
        if route == ("POST", "/tokenize") and body["model"] == "tuned":
            words = [word for turn in body["messages"] for word in turn["content"].split()]
            return self._send(200, {"count": len(words), "max_model_len": 4096, "tokens": []})
        if route == ("POST", "/v1/chat/completions"):
            return self._complete(body)
        return self._send(404, {"detail": "Not Found"})

    def _complete(self, body):
        try:
            _CREATE.validate_python({"stream": True} | body)
            assert set(body) <= _KNOWN, set(body) - _KNOWN
            assert body["model"] == "tuned"
        except (AssertionError, ValueError) as error:
            return self._send(400, {"error": {"message": str(error), "code": 400}})
        self.server.bodies.append(body)
        words = sum(len(turn["content"].split()) for turn in body["messages"])
        head = {"id": "1", "created": 1, "model": "tuned"}
        if not body.get("stream"):
            message = {"role": "assistant", "content": "Hello"}
            choice = {"index": 0, "message": message, "finish_reason": "length"}
            usage = {"prompt_tokens": words, "completion_tokens": 2, "total_tokens": words + 2}
            whole = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
            ChatCompletion.model_validate(whole)
            return self._send(200, whole)
        deltas = [{"role": "assistant", "content": ""}, {"content": '{"a":'}, {"content": " 1}"}]
        chunks = [([{"delta": delta, "finish_reason": None}], None) for delta in deltas]
        chunks += [
            ([{"delta": {"content": ""}, "finish_reason": "stop"}], None),
            ([], {"prompt_tokens": words, "completion_tokens": 3, "total_tokens": words + 3}),
        ]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Connection", "close")
        self.end_headers()
        for choices, usage in chunks:
            all_choices = [{"index": 0, "logprobs": None, **choice} for choice in choices]
            chunk = {**head, "object": "chat.completion.chunk", "usage": usage}
            chunk["choices"] = all_choices
            ChatCompletionChunk.model_validate(chunk)
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True
        return None

    def _send(self, status, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def vllm():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _VLLM)
    server.bodies = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def _ask(vllm, folder, ask):
    """Loads the guide's model as the gateway does, and asks it; returns the task and the answer."""
    model = _preset() | {"url": f"http://127.0.0.1:{vllm.server_port}/v1"}
    preset = preset_of(folder, model=model)

    async def run():
        models = TunedModels([preset], lambda *state: None)
        try:
            (task,) = await models.load(None)
            async with aiohttp.ClientSession() as session:
                settings = preset.settings
                local = LocalModel(task, lambda: session, settings.model, settings.breakers)
                return task, await local.answer(ask, ask.messages)
        finally:
            await models.close()

    return asyncio.run(run())


def _question():
    messages = (Message("user", "my order does not arrive"),)
    return Ask(model="", stream=None, system="", messages=messages, schema=SCHEMA)


def test_the_gateway_asks_the_model_of_the_guide_with_its_key(vllm, tmp_path, monkeypatch):
    monkeypatch.setenv(_preset()["api_key_env"], KEY)
    task, answer = _ask(vllm, tmp_path, _question())
    assert (answer.text, answer.prompt_tokens) == ('{"a": 1}', 5)
    assert (task.api_model, task.context_length) == ("tuned", 4096)
    [body] = [body for body in vllm.bodies if body.get("stream")]
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA
    assert body["stream_options"] == {"include_usage": True}


def test_a_wrong_key_is_said_before_anything_is_served(vllm, tmp_path, monkeypatch):
    monkeypatch.setenv(_preset()["api_key_env"], "another")
    with pytest.raises(
        UserError, match=r"refuses the key: .*answered 401.*serving\.model\.api_key_env"
    ):
        _ask(vllm, tmp_path, _question())


def test_the_command_of_the_guide_and_its_preset_are_about_the_same_server():
    command, preset = _command(), ServingSettings(model=_preset()).model
    flags = dict(argument[2:].split("=") for argument in command["args"].split(","))
    assert flags["served-model-name"] == preset.name
    assert flags["port"] == command["port"]
    assert f"-NUMBER.{command['region']}.run.app/v1" in preset.url
    secrets = dict(pair.split("=") for pair in command["set-secrets"].split(","))
    assert secrets["VLLM_API_KEY"] in re.sub(r"(secrets create )(\S+)", r"\1\2:latest", SECTION)
    assert command["ingress"] == "internal"
