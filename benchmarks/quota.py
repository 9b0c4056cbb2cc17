"""How much of a quota the client uses, and whether the service ever has to refuse.

`python -m benchmarks.quota` prints a Markdown table; it takes about 25 minutes, because a quota of
a minute shows itself over minutes. The service is the stand-in in a process of its own. Measured
are whole minutes after the first replies have come; "used" is in percent of the quota that the
service really has. In the rows where that is half of what is configured, the first minute, in which
the client finds out, is left out.
"""

import argparse
import contextlib
import itertools
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pydantic

from components.service_llm.blocks import block
from components.service_llm.client import open_service_llm
from components.service_llm.settings import ServiceLLMSettings
from components.service_llm.types import Request

_MINUTE = 60.0
_LATENCIES = (0.0, 2.0, 20.0)
_LIMITS = (60, 600, 6000)


class Score(pydantic.BaseModel):
    """The stand-in's cheapest kind of request."""

    reason: str
    score: int


class Case(NamedTuple):
    """One row of the table."""

    latency_seconds: float
    configured: int
    real: int


class Outcome(NamedTuple):
    """What was measured: replies in whole minutes, and refusals (429) in all of the time."""

    replies: int
    minutes: int
    refusals: int


def measure(case: Case, minutes: int) -> Outcome:
    """Sends requests as fast as the client does for some minutes."""
    with (
        server(latency_seconds=case.latency_seconds, requests_per_minute=case.real) as url,
        tempfile.TemporaryDirectory() as journal,
    ):
        settings = ServiceLLMSettings(
            provider="gemini",
            model="stand-in-quota",
            base_url=url,
            requests_per_minute=case.configured,
            max_concurrency=4096,
        )
        skipped = case.latency_seconds + (_MINUTE if case.real < case.configured else 0)
        replies = 0
        source = requests()
        with open_service_llm(settings, journal_uri=journal, component="b", round=1) as llm:
            list(llm.map([next(source)]))  # the stand-in is slow at its first reply
            start = time.monotonic() + skipped
            end = start + minutes * _MINUTE
            for _ in llm.map(itertools.takewhile(lambda _: time.monotonic() < end, source)):
                replies += start <= time.monotonic() < end
        return Outcome(replies, minutes, _refusals(url))


def requests() -> Iterator[Request]:
    """Endless different requests of the stand-in's cheapest kind."""
    for number in itertools.count():
        parts = {
            "task": "support_triage\nTriage.",
            "prompt": f"Where is order {number}?",
            "output": '{"category": "shipping", "priority": "normal", "product": null}',
        }
        text = "\n".join(block(name, content, "0" * 16) for name, content in parts.items())
        yield Request(text, Score, max_output_tokens=256)


@contextlib.contextmanager
def server(*, latency_seconds: float, requests_per_minute: int) -> Iterator[str]:
    """The URL of a stand-in in a process of its own."""
    command = [
        sys.executable, "-m", "standin", "--port", "0",
        "--latency-seconds", str(latency_seconds),
        "--requests-per-minute", str(requests_per_minute),
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield next(w for line in process.stdout for w in line.split() if w.startswith("http:"))
        finally:
            process.terminate()


def _refusals(url: str) -> int:
    with urllib.request.urlopen(url) as reply:
        return int(json.load(reply)["stats"]["quota_errors"])


def cases(limits: Sequence[int], latencies: Sequence[float]) -> list[Case]:
    """Every latency with every limit; for the middle one also a service with half the quota."""
    exact = [Case(latency, limit, limit) for limit in limits for latency in latencies]
    half = [Case(latency, 600, 300) for latency in latencies]
    return exact + half


def main() -> None:
    """Measures all cases and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=int, default=2, help="measured minutes of a case")
    parser.add_argument("--limits", type=int, nargs="+", default=_LIMITS)
    parser.add_argument("--latencies", type=float, nargs="+", default=_LATENCIES)
    arguments = parser.parse_args()
    print("| latency (s) | configured / min | real / min | replies / min | used | refused |")
    print("|---|---|---|---|---|---|")
    for case in cases(arguments.limits, arguments.latencies):
        found = measure(case, arguments.minutes)
        rate = found.replies / found.minutes
        print(
            f"| {case.latency_seconds:g} | {case.configured} | {case.real} | {rate:.0f} | "
            f"{rate / case.real:.1%} | {found.refusals} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
