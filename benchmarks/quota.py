"""How much of a quota the client uses, and whether the service ever has to refuse.

`python -m benchmarks.quota` prints Markdown tables; it takes about 40 minutes, because a quota of
a minute shows itself over minutes. The service is the stand-in in a process of its own. Measured
are whole minutes after the first replies have come; "used" is in percent of the quota that the
service really has. In the rows where that is half of what is configured, the first minute, in which
the client finds out, is left out. The rows with tokens have requests of many lengths.
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
from typing import NamedTuple, Self

import pydantic

from service_llm.blocks import block
from service_llm.client import open_service_llm
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Request

_MINUTE = 60.0
_LATENCIES = (0.0, 2.0, 20.0)
_LIMITS = (60, 600, 6000)
_TOKENS = 100_000


class Score(pydantic.BaseModel):
    """The stand-in's cheapest kind of request."""

    own_output: str
    difference: str
    reason: str
    score: int


class Case(NamedTuple):
    """One row of a table: requests in a minute, or tokens where `tokens` is set."""

    latency_seconds: float
    configured: int
    real: int
    tokens: bool = False

    @classmethod
    def read(cls, text: str) -> Self:
        """Parse the case `LATENCY:CONFIGURED[:REAL]`; with a `t` in front, of tokens."""
        latency, configured, *real = text.removeprefix("t").split(":")
        return cls(float(latency), int(configured), int(*real or [configured]), text[0] == "t")


class Outcome(NamedTuple):
    """Requests or tokens in whole minutes, and refusals (429) in all of the time."""

    used: int
    minutes: int
    refusals: int


def measure(case: Case, minutes: int) -> Outcome:
    """Send requests as fast as the client does for some minutes."""
    limit = "tokens_per_minute" if case.tokens else "requests_per_minute"
    with (
        server(latency_seconds=case.latency_seconds, **{limit: case.real}) as url,
        tempfile.TemporaryDirectory() as journal,
    ):
        settings = ServiceLLMSettings(
            provider="gemini",
            model="stand-in-quota",
            base_url=url,
            **{"requests_per_minute": 60_000, limit: case.configured},
        )
        skipped = case.latency_seconds + (_MINUTE if case.real < case.configured else 0)
        used = 0
        source = requests(longest=2000 if case.tokens else 0)
        with open_service_llm(settings, journal_uri=journal, component="b", round=1) as llm:
            list(llm.map([next(source)]))  # the stand-in is slow at its first reply
            start = time.monotonic() + skipped
            end = start + minutes * _MINUTE
            for result in llm.map(itertools.takewhile(lambda _: time.monotonic() < end, source)):
                if start <= time.monotonic() < end:
                    usage = result.usage
                    used += usage.prompt_tokens + usage.output_tokens if case.tokens else 1
        return Outcome(used, minutes, _refusals(url))


def requests(longest: int = 0) -> Iterator[Request]:
    """Endless different requests of the stand-in's cheapest kind.

    Args:
        longest: Maximum words of a message; every request has another number of them.
    """
    for number in itertools.count():
        parts = {
            "task": "support_triage\nTriage.",
            "prompt": f"Where is order {number}?" + " please" * (number * 7919 % (longest + 1)),
            "output": '{"category": "shipping", "priority": "normal", "product": null}',
        }
        text = "\n".join(block(name, content, "qwzkfp") for name, content in parts.items())
        yield Request(text, Score, max_output_tokens=256)


@contextlib.contextmanager
def server(**options: float) -> Iterator[str]:
    """Run a stand-in in its own process, with options of `python -m standin`; yield its URL."""
    command = [sys.executable, "-m", "standin", "--port", "0"]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
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
    """Every latency with every limit; also a service with half the quota, and tokens."""
    exact = [Case(latency, limit, limit) for limit in limits for latency in latencies]
    half = [Case(latency, 600, 300) for latency in latencies]
    return exact + half + [Case(latency, _TOKENS, _TOKENS, tokens=True) for latency in latencies]


def print_table(unit: str, chosen: Sequence[Case], minutes: int) -> None:
    """Measures cases, and prints each as soon as it is known."""
    print(f"| latency (s) | {unit} / min, configured | real | used / min | used | refused |")
    print("|---|---|---|---|---|---|")
    for case in chosen:
        found = measure(case, minutes)
        rate = found.used / found.minutes
        print(
            f"| {case.latency_seconds:g} | {case.configured} | {case.real} | {rate:.0f} | "
            f"{rate / case.real:.1%} | {found.refusals} |",
            flush=True,
        )


def main() -> None:
    """Measures all cases and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=int, default=2, help="measured minutes of a case")
    parser.add_argument("--limits", type=int, nargs="+", default=_LIMITS)
    parser.add_argument("--latencies", type=float, nargs="+", default=_LATENCIES)
    parser.add_argument(
        "--cases",
        type=Case.read,
        nargs="+",
        metavar="LATENCY:CONFIGURED[:REAL]",
        help="these instead of all; with a t in front, tokens instead of requests in a minute",
    )
    arguments = parser.parse_args()
    chosen = arguments.cases or cases(arguments.limits, arguments.latencies)
    for unit, is_tokens in (("requests", False), ("tokens", True)):
        if table := [case for case in chosen if case.tokens is is_tokens]:
            print_table(unit, table, arguments.minutes)
            print()


if __name__ == "__main__":
    main()
