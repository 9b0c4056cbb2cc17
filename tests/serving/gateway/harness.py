"""A gateway over real HTTP between a fake service and a fake model, in a thread of their own."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import httpx
import openai
import uvicorn
from google import genai
from google.genai import types

from service_llm.settings import ServiceLLMSettings
from serving.gateway.app import create_app
from serving.gateway.exchange import Exchange
from serving.gateway.server import listen, make_server
from serving.gateway.task import ServedTask
from serving.settings import ServingSettings
from tests.serving.gateway import fakes

INSTRUCTION = "Sort the customer's message. Answer with JSON."
SERVICE_TEXT = '{"category": "billing", "from": "service"}'
MODEL_TEXT = '{"category": "billing", "from": "the tuned model"}'
SCHEMA = {
    "type": "object",
    "properties": {"category": {"enum": ["billing", "shipping"]}, "from": {"type": "string"}},
    "required": ["category"],
}
PROMPT = "My kettle does not boil."
KEY = "AIzaSy-a-key-that-must-not-leak"
T = TypeVar("T")


def unused_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class NoJitter:
    """Draws the middle."""

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2


class Harness:
    """The servers, and clients for the gateway."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.service = fakes.FakeServer(fakes.healthy(SERVICE_TEXT))
        self.model = fakes.FakeServer(fakes.model(MODEL_TEXT))
        self.clock = Clock()
        self.exchanges: list[Exchange] = []
        self.app = None
        self.key = KEY
        self._server: uvicorn.Server | None = None
        self._serving = None
        self.run(self.service.start())
        self.run(self.model.start())

    def run(self, work: Awaitable[T]) -> T:
        async def wrapped() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(wrapped(), self.loop).result(30)

    def task(self, **changes: object) -> ServedTask:
        values = {
            "name": "triage",
            "instruction": INSTRUCTION,
            "output_schema": SCHEMA,
            "model": "gemma3-270m",
            "round": 3,
            "hash": "1f2e3d4c",
            "base_url": f"{self.model.url}/v1",
            "api_model": "tuned",
            "context_length": 512,
            "max_output_tokens": 64,
            "count_tokens": lambda messages: fakes.count_words([m.text for m in messages]),
            "turn_markers": ("<start_of_turn>", "<end_of_turn>"),
            "samples": ("Where is my parcel?",),
        }
        return ServedTask(**{**values, **changes})

    def settings(self, *, provider: str = "gemini", base_url: str | None = None, **changes):
        url = base_url or self.service.url
        if provider == "openai":
            url = f"{url}/v1"
        service = ServiceLLMSettings(provider=provider, model="gemini-x", base_url=url)
        values = {
            "port": 0,
            "first_byte_seconds": 5.0,
            "between_bytes_seconds": 5.0,
            "breakers": {"failures_to_open": 1000, "jitter": 0},
            "model": {"keep_warm_seconds": 0},
        }
        return ServingSettings(service=service, **{**values, **changes})

    def start(
        self,
        settings: ServingSettings | None = None,
        tasks: list[ServedTask] | None = None,
        *,
        is_ready: bool = True,
        **options: object,
    ) -> "Harness":
        settings = settings or self.settings()
        self.app = create_app(
            settings,
            tasks if tasks is not None else [self.task()],
            on_exchange=self.exchanges.append,
            clock=self.clock,
            rng=NoJitter(),
            **options,
        )
        self._server = make_server(self.app)
        self._server.config.timeout_graceful_shutdown = 1
        listener = listen(settings.host, settings.port)
        serving = self._server.serve(sockets=[listener])
        self._serving = asyncio.run_coroutine_threadsafe(serving, self.loop)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.wait_until(lambda: self._server.started or self._serving.done())
        if self._serving.done():
            self._serving.result()
        if is_ready:
            self.wait_until(lambda: httpx.get(f"{self.url}/understudy/ready").status_code == 200)
        self.model.received.clear()
        return self

    def wait_until(self, condition: Callable[[], bool]) -> None:
        for _ in range(6000):  # a minute, on a machine that is busy with other things
            if condition():
                return
            threading.Event().wait(0.01)
        raise AssertionError("the condition did not come true")

    def took(self, number: int) -> list[Exchange]:
        """That many exchanges; they are counted after the last byte was sent."""
        self.wait_until(lambda: len(self.exchanges) >= number)
        assert len(self.exchanges) == number
        return self.exchanges

    def forget(self) -> None:
        """Forget what was sent so far, once all of it is over."""
        self.wait_until(lambda: self.app._gateway.served.requests == 0)
        for seen in (self.exchanges, self.service.received, self.model.received):
            seen.clear()

    def restart(self, *arguments: object, **options: object) -> "Harness":
        """Stop the gateway in good order, and start another one."""
        self.stop_gateway()
        return self.start(*arguments, **options)

    def stop_gateway(self) -> None:
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            self._serving.result(30)
            self._server = self._serving = None

    def stop(self) -> None:
        self.stop_gateway()
        self.run(self.service.stop())
        self.run(self.model.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    # ---- clients -------------------------------------------------------------------------------

    def gemini(self, **options: object) -> genai.Client:
        http = types.HttpOptions(base_url=self.url, **options)
        return genai.Client(api_key=self.key, http_options=http)

    def openai(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=self.key, max_retries=0)

    def ask(self, protocol: str, *, stream: bool, prompt: str = PROMPT) -> str:
        """The text that a real client gets."""
        if protocol == "openai":
            return self._ask_openai(stream=stream, prompt=prompt)
        config = types.GenerateContentConfig(system_instruction=INSTRUCTION)
        with contextlib.closing(self.gemini()) as client:
            arguments = {"model": "gemini-x", "contents": prompt, "config": config}
            if stream:
                parts = client.models.generate_content_stream(**arguments)
                return "".join(part.text or "" for part in parts)
            return client.models.generate_content(**arguments).text or ""

    def _ask_openai(self, *, stream: bool, prompt: str) -> str:
        messages = [
            {"role": "system", "content": INSTRUCTION},
            {"role": "user", "content": prompt},
        ]
        with self.openai() as client:
            if not stream:
                answer = client.chat.completions.create(model="gemini-x", messages=messages)
                return answer.choices[0].message.content or ""
            chunks = client.chat.completions.create(
                model="gemini-x", messages=messages, stream=True
            )
            return "".join(
                chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices
            )

    def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.post(
            f"{self.url}{path}",
            json=body,
            headers={"x-goog-api-key": self.key, **names},
            timeout=30,
        )


GEMINI_PATH = "/v1beta/models/gemini-x:generateContent"
GEMINI_STREAM_PATH = "/v1beta/models/gemini-x:streamGenerateContent"


def gemini_request(prompt: str = PROMPT, system: str = INSTRUCTION, **more: object) -> dict:
    return {
        "systemInstruction": {"parts": [{"text": system}]},
        "contents": [{"role": "user", "parts": [{"text": prompt}]}],
        **more,
    }


def openai_request(prompt: str = PROMPT, system: str = INSTRUCTION, **more: object) -> dict:
    messages = [{"role": "system", "content": system}, {"role": "user", "content": prompt}]
    return {"model": "gemini-x", "messages": messages, **more}


@contextlib.contextmanager
def harness() -> Iterator[Harness]:
    """Servers that are stopped at the end."""
    made = Harness()
    try:
        yield made
    finally:
        made.stop()
