"""What capture and shadow mode cost the healthy path: latency with them and without.

`python -m benchmarks.shadow` prints a Markdown table; it takes some three minutes. Five gateways
stand before one service, each in a process of its own: without either, the same once more (what two
equal gateways differ by), with capture, with capture and shadow, and in canary mode at 0 %.
Requests leave 25 times a second to each, in an order that is drawn each time, whether or not
earlier ones have come back. All of them are restarted eight times, because a process keeps its
place in memory, and the differences of medians are compared over the starts. The tuned model of
shadow mode is a server that answers at once, so that what is measured is the gateway, and not a
model that computes on the same cores.
"""

import argparse
import asyncio
import contextlib
import json
import math
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import aiohttp
from aiohttp import web

from benchmarks.processes import progress, wait_for
from service_llm.settings import ServiceLLMSettings
from serving.gateway.app import create_app
from serving.gateway.server import listen, make_server, run
from serving.gateway.task import ServedTask
from serving.settings import ServingSettings

_RATE = 25  # requests a second to each gateway
_SECONDS = 15
_STARTS = 8
_PATH = "/v1beta/models/gemini-x:generateContent"
_INSTRUCTION = "Sort the customer's message."
_LABEL = '{"category": "billing", "priority": "normal"}'
_WAYS = ("without", "again", "capture", "shadow", "canary")
_NAMES = {
    "without": "gateway without either",
    "again": "the same once more",
    "capture": "with capture",
    "shadow": "with capture and shadow, every request copied",
    "canary": "with capture, canary at 0 % (every request copied)",
}
_T = 2.365  # of Student's distribution, two-sided 95 %, for eight starts


class Way(NamedTuple):
    """A gateway that is measured.

    Attributes:
        name: One of `_WAYS`.
        port: Where it listens.
    """

    name: str
    port: int


def main() -> None:
    """Measure, or be one of the processes that are measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=_SECONDS, help="of requests, each start")
    parser.add_argument("--serve", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.serve:
        _measure(arguments.seconds)
    elif arguments.serve[0] == "upstream":
        web.run_app(_upstream(), host="127.0.0.1", port=int(arguments.serve[1]), print=None)
    else:
        _serve_gateway(*arguments.serve)


def _measure(seconds: int) -> None:
    runs = []
    written: Counter[str] = Counter()
    for start in range(_STARTS):
        progress(f"start {start + 1} of {_STARTS}")
        found, lines = _run(seconds, random.Random(start))
        runs.append(found)
        written.update(lines)
    print(f"**Latency at {_RATE} requests a second to each, milliseconds**\n")
    print(
        "| way | median | added at the median to the gateway without | 99th percentile "
        "| exchanges captured |\n|---|---|---|---|---|"
    )
    for way in ("directly", *_WAYS):
        values = [value for run in runs for value in run[way]]
        added = "" if way in ("directly", "without") else _added(way, runs)
        high = statistics.quantiles(values, n=100)[98]
        print(
            f"| {_NAMES.get(way, way)} | {1000 * statistics.median(values):.2f} | {added} "
            f"| {1000 * high:.2f} | {written.get(way, '') or ''} |"
        )
    requests = sum(len(run["without"]) for run in runs)
    load = os.getloadavg()[2]
    print(
        f"\nIn brackets the 95 % interval (Student) of the mean over {_STARTS} starts, paired by "
        f"start; {requests} requests to each. Load of the machine over 15 minutes: {load:.1f}."
    )


def _run(seconds: int, generator: random.Random) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Start everything once; return the latencies of each way, and the lines it captured."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        service, model = (stack.enter_context(_process("upstream")) for _ in range(2))
        ways = [
            Way(name, stack.enter_context(_process(name, str(service), str(model), str(folder))))
            for name in _WAYS
        ]
        found = asyncio.run(_latencies([Way("directly", service), *ways], seconds, generator))
        time.sleep(2)  # for the last copies
        lines = {
            name: sum(
                len(file.read_text().splitlines())
                for file in folder.glob(f"{name}/capture/*.jsonl")
            )
            for name in _WAYS
        }
    return found, lines


def _added(way: str, runs: Sequence[dict[str, list[float]]]) -> str:
    """Return what a way adds at the median, with its interval, and whether it is measurable."""
    differences = [
        1000 * (statistics.median(run[way]) - statistics.median(run["without"])) for run in runs
    ]
    mean = statistics.mean(differences)
    width = _T * statistics.stdev(differences) / math.sqrt(len(differences))
    is_measurable = abs(mean) > width
    said = "measurable" if is_measurable else "not measurable"
    return f"{mean:+.3f} ({mean - width:+.3f} to {mean + width:+.3f}), {said}"


async def _latencies(
    ways: Sequence[Way], duration: int, generator: random.Random
) -> dict[str, list[float]]:
    """Seconds of requests that leave at fixed times, to each address once a round."""
    seconds: dict[str, list[float]] = {way.name: [] for way in ways}
    order = list(ways)
    async with aiohttp.ClientSession() as session:

        async def ask(way: Way, at: int) -> None:
            started = time.perf_counter()
            async with session.post(
                f"http://127.0.0.1:{way.port}{_PATH}",
                data=_body(at),
                headers={"x-goog-api-key": "a-key", "content-type": "application/json"},
            ) as answer:
                await answer.read()
                assert answer.status == 200, await answer.text()
            seconds[way.name].append(time.perf_counter() - started)

        waiting = []
        began = time.perf_counter()
        for at in range(_RATE * duration * len(ways)):
            place = at % len(ways)
            if not place:  # what the one before left to be done falls on each as often
                generator.shuffle(order)
            due = began + at / (_RATE * len(ways))
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            waiting.append(asyncio.create_task(ask(order[place], at)))
        await asyncio.gather(*waiting)
    return {name: values[_RATE:] for name, values in seconds.items()}  # without the first second


def _body(number: int) -> bytes:
    prompt = f"My kettle {number} does not boil any more. " * 20
    return json.dumps(
        {
            "systemInstruction": {"parts": [{"text": _INSTRUCTION}]},
            "contents": [{"role": "user", "parts": [{"text": prompt}]}],
        }
    ).encode()


def _upstream() -> web.Application:
    """Answer as the service, and as the tuned model's server."""
    candidate = {"content": {"role": "model", "parts": [{"text": _LABEL}]}, "finishReason": "STOP"}
    usage = {"promptTokenCount": 120, "candidatesTokenCount": 28}
    whole = json.dumps({"candidates": [candidate], "usageMetadata": usage}).encode()
    chunks = [
        {"choices": [{"index": 0, "delta": {"content": _LABEL}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"prompt_tokens": 9999, "completion_tokens": 28}},
    ]
    stream = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        if request.path.endswith("/chat/completions"):
            return web.Response(body=stream, content_type="text/event-stream")
        return web.Response(body=whole, content_type="application/json")

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    return application


def _serve_gateway(way: str, port: str, service: str, model: str, folder: str) -> None:
    settings = ServingSettings.model_validate(
        {
            "service": ServiceLLMSettings(
                provider="gemini", model="gemini-x", base_url=f"http://127.0.0.1:{service}"
            ),
            "model": {"keep_warm_seconds": 0},
            "capture": way not in ("without", "again"),
            "mode": way if way in ("shadow", "canary") else "failover",
            "canary_percent": 0,
        }
    )
    task = ServedTask(
        name="triage",
        instruction=_INSTRUCTION,
        output_schema={"type": "object", "required": ["category"]},
        model="none",
        round=1,
        hash="none",
        base_url=f"http://127.0.0.1:{model}/v1",
        api_model="none",
        context_length=4096,
        max_output_tokens=64,
        count_tokens=lambda messages: len(messages[-1].text) // 4,
    )
    server = make_server(create_app(settings, [task], state_dir=Path(folder) / way))
    run(server.serve(sockets=[listen("127.0.0.1", int(port))]))


@contextlib.contextmanager
def _process(way: str, *arguments: str) -> Iterator[int]:
    """Run one of the measured processes; yield its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.shadow", "--serve", way, str(port), *arguments]
    process = subprocess.Popen(command, env={**os.environ})
    try:
        wait_for(port, "/understudy/status")
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


if __name__ == "__main__":
    main()
