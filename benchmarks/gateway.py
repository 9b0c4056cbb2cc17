"""What the takeover gateway costs the healthy path: latency, rate and memory.

`python -m benchmarks.gateway` prints Markdown tables; it takes some four minutes. nginx answers as
the service, runs next to the gateway as another proxy, and wrk asks as fast as it can:
`apt-get install nginx wrk`. Every process has one worker. The latency is measured with requests
that leave 50 times a second to each address in turn, whether or not earlier ones have come back,
LiteLLM's apart, since it needs more than a core for them.
CPU is user and system time of the proxy's process for one request, which a busy machine changes
less than its rate. With `--litellm PYTHON`, or `LITELLM_PYTHON` in the environment, the Python of
an environment in which `litellm[proxy]` is installed, LiteLLM's proxy runs next to them.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import aiohttp

from benchmarks.processes import free_port, progress, wait_for

_RATE = 50  # requests a second to each address
_LATENCY_SECONDS = 20
_RATE_SECONDS = 8
_ROUNDS = 3  # of the rate; the best of each counts
_CONNECTIONS = 16
_MEMORY_REQUESTS = 100_000
_SETTLED_REQUESTS = 5_000
_PATH = "/v1beta/models/gemini-x:generateContent"
_INSTRUCTION = "Sort the customer's message."
_TICKS = os.sysconf("SC_CLK_TCK")
_ANSWER = json.dumps(
    {
        "candidates": [
            {
                "content": {
                    "role": "model",
                    "parts": [{"text": '{"category": "billing", "priority": "normal"}'}],
                },
                "finishReason": "STOP",
            }
        ],
        "usageMetadata": {"promptTokenCount": 120, "candidatesTokenCount": 28},
        "modelVersion": "gemini-x",
    }
)
_NGINX = """
worker_processes 1; daemon off; pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
  scgi_temp_path {folder}/s;
  upstream service {{ server 127.0.0.1:{service}; keepalive 64; }}
  server {{ listen 127.0.0.1:{service}; location / {{
    default_type application/json; return 200 '{answer}'; }} }}
  server {{ listen 127.0.0.1:{proxy}; location / {{
    proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection "";
    proxy_buffering off; }} }}
}}
"""
_WRK = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["x-goog-api-key"] = "a-key"
wrk.body = [[{body}]]
"""


class Proxy(NamedTuple):
    """What stands between the client and the service.

    Attributes:
        name: For the tables.
        port: Where it listens.
        pid: The process that does the work.
        system: System text of the requests; of the task, or not.
        path: What is asked.
    """

    name: str
    port: int
    pid: int
    system: str = _INSTRUCTION
    path: str = _PATH


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--litellm",
        metavar="PYTHON",
        default=os.environ.get("LITELLM_PYTHON"),
        help="of an environment with its proxy (default: $LITELLM_PYTHON)",
    )
    parser.add_argument("--requests", type=int, default=_MEMORY_REQUESTS, help="for the memory")
    arguments = parser.parse_args()
    for tool in ("nginx", "wrk"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is not installed: apt-get install nginx wrk")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        service, nginx = stack.enter_context(_nginx(folder))
        gateway_port = free_port()
        gateway = stack.enter_context(
            _python(sys.executable, "benchmarks.gateway_process", str(service), str(gateway_port))
        )
        wait_for(gateway_port, "/understudy/status")
        proxies = [
            Proxy("nginx as a proxy", nginx[0], nginx[1]),
            Proxy("gateway, requests of the task", gateway_port, gateway),
            Proxy("gateway, other requests for an answer", gateway_port, gateway, "Write a poem."),
            Proxy(
                "gateway, all else",
                gateway_port,
                gateway,
                path="/v1beta/models/gemini-x:countTokens",
            ),
        ]
        directly = Proxy("directly", service, 0)
        seconds = _latencies([directly, *proxies])
        if arguments.litellm:
            # Only now, and alone: at this rate it uses more than the core that the others need.
            proxies.append(stack.enter_context(_litellm(arguments.litellm, folder, service)))
            seconds.append(_latencies([directly, proxies[-1]])[1])
        _print_latencies([directly, *proxies], seconds)
        _print_rates(folder, proxies)
        _print_memory(folder, proxies[1], arguments.requests)


def _print_latencies(proxies: list[Proxy], seconds: list[list[float]]) -> None:
    print(f"**Latency at {_RATE} requests a second, milliseconds**\n")
    print("| way | median | added at the median | 99th percentile |\n|---|---|---|---|")
    direct = statistics.median(seconds[0])
    for proxy, values in zip(proxies, seconds, strict=True):
        median = statistics.median(values)
        high = statistics.quantiles(values, n=100)[98]
        added = f"{1000 * (median - direct):.2f}" if proxy.pid else ""
        print(f"| {proxy.name} | {1000 * median:.2f} | {added} | {1000 * high:.2f} |")


def _latencies(proxies: list[Proxy]) -> list[list[float]]:
    """Seconds of requests that leave at fixed times, to each address in turn."""
    progress(f"latency, {proxies[-1].name}")
    return asyncio.run(_ask_in_turn(proxies))


async def _ask_in_turn(proxies: list[Proxy]) -> list[list[float]]:
    seconds: list[list[float]] = [[] for _ in proxies]
    async with aiohttp.ClientSession() as session:

        async def ask(number: int) -> None:
            proxy = proxies[number]
            started = time.perf_counter()
            async with session.post(
                f"http://127.0.0.1:{proxy.port}{proxy.path}",
                data=_body(proxy.system),
                headers={"x-goog-api-key": "a-key", "content-type": "application/json"},
            ) as answer:
                await answer.read()
                assert answer.status == 200, await answer.text()
            seconds[number].append(time.perf_counter() - started)

        waiting = []
        began = time.perf_counter()
        for at in range(_RATE * _LATENCY_SECONDS * len(proxies)):
            due = began + at / (_RATE * len(proxies))
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            waiting.append(asyncio.create_task(ask(at % len(proxies))))
        await asyncio.gather(*waiting)
    return [values[_RATE:] for values in seconds]  # without the first second


def _print_rates(folder: Path, proxies: list[Proxy]) -> None:
    best = [(0.0, 0.0)] * len(proxies)
    for turn in range(_ROUNDS):
        for number, proxy in enumerate(proxies):
            progress(f"rate, {proxy.name}, {turn + 1} of {_ROUNDS}")
            best[number] = max(best[number], _rate(folder, proxy))
    print(f"\n**As fast as it goes, {_CONNECTIONS} connections, one process each**\n")
    print("| way | requests a second | of nginx's | CPU for a request, microseconds |")
    print("|---|---|---|---|")
    for proxy, (rate, cpu) in zip(proxies, best, strict=True):
        print(f"| {proxy.name} | {rate:,.0f} | 1/{best[0][0] / rate:.1f} | {cpu:,.0f} |")


def _rate(folder: Path, proxy: Proxy, seconds: int = _RATE_SECONDS) -> tuple[float, float]:
    """Return the requests a second, and microseconds of CPU for one."""
    script = folder / "post.lua"
    script.write_text(_WRK.format(body=_body(proxy.system).decode()))
    before = _cpu_seconds(proxy.pid)
    done = subprocess.run(
        [
            "wrk",
            "-t1",
            f"-c{_CONNECTIONS}",
            f"-d{seconds}s",
            "-s",
            str(script),
            f"http://127.0.0.1:{proxy.port}{proxy.path}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    if "Non-2xx" in done.stdout:
        raise SystemExit(f"{proxy.name} did not answer every request:\n{done.stdout}")
    number = int(_found(r"(\d+) requests in", done.stdout))
    rate = float(_found(r"Requests/sec:\s+([\d.]+)", done.stdout))
    return rate, 1e6 * (_cpu_seconds(proxy.pid) - before) / number


def _print_memory(folder: Path, proxy: Proxy, requests: int) -> None:
    progress(f"memory over {requests} requests")
    sent = 0
    settled = 0.0
    while sent < requests:
        started = time.perf_counter()
        rate, _ = _rate(folder, proxy, seconds=4)
        sent += round(rate * (time.perf_counter() - started))
        if not settled and sent >= _SETTLED_REQUESTS:
            settled, counted = _resident_mib(proxy.pid), sent
    print("\n**Memory of the gateway, MiB resident**\n")
    print("| after requests | MiB |\n|---|---|")
    print(f"| {counted:,} | {settled:.1f} |\n| {sent:,} | {_resident_mib(proxy.pid):.1f} |")


def _body(system: str) -> bytes:
    prompt = "My kettle does not boil any more. " * 20
    return json.dumps(
        {
            "systemInstruction": {"parts": [{"text": system}]},
            "contents": [{"role": "user", "parts": [{"text": prompt}]}],
        }
    ).encode()


@contextlib.contextmanager
def _nginx(folder: Path) -> Iterator[tuple[int, tuple[int, int]]]:
    """Return the service's port, and the port and the worker's process of nginx as a proxy."""
    service, proxy = free_port(), free_port()
    file = folder / "nginx.conf"
    answer = _ANSWER.replace("\\", "\\\\")
    file.write_text(_NGINX.format(folder=folder, service=service, proxy=proxy, answer=answer))
    with _process(["nginx", "-p", str(folder), "-c", str(file)]) as pid:
        wait_for(proxy, "/")
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        yield service, (proxy, int(children[0]))


@contextlib.contextmanager
def _litellm(python: str, folder: Path, service: int) -> Iterator[Proxy]:
    port = free_port()
    file = folder / "litellm.yaml"
    file.write_text(
        "model_list:\n  - model_name: gemini-x\n    litellm_params:\n"
        "      model: gemini/gemini-x\n      api_key: a-key\n"
        f"      api_base: http://127.0.0.1:{service}\n"
    )
    command = [str(Path(python).with_name("litellm")), "--config", str(file), "--port", str(port)]
    command += ["--host", "127.0.0.1", "--num_workers", "1"]
    # The gateway's callers bring their own keys, too.
    without_key = {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}
    with _process(command, **without_key) as pid:
        wait_for(port, "/health/liveliness", seconds=300)
        yield Proxy("LiteLLM's proxy", port, pid)


@contextlib.contextmanager
def _python(python: str, module: str, *arguments: str) -> Iterator[int]:
    with _process([python, "-m", module, *arguments]) as pid:
        yield pid


@contextlib.contextmanager
def _process(command: list[str], **environment: str) -> Iterator[int]:
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, env={**os.environ, **environment}
    )
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise SystemExit(f"wrk printed nothing that is known:\n{text}")
    return found[1]


if __name__ == "__main__":
    main()
