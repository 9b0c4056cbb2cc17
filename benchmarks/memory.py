"""How the client's memory grows while requests stream through it.

`python -m benchmarks.memory` prints a Markdown table; it takes about ten minutes. The service is
the stand-in in a process of its own. "peak" is the largest resident set of the client's process so
far; the journal keeps a key and a position in memory for every reply, and nothing else may grow.
"""

import argparse
import itertools
import resource
import tempfile
import time

from benchmarks.quota import requests, server
from service_llm.client import open_service_llm
from service_llm.settings import ServiceLLMSettings

_COUNT = 100_000
_STEP = 20_000
_ENDLESS = 10_000_000


def main() -> None:
    """Streams requests and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=_COUNT)
    count = parser.parse_args().requests
    print("| requests | peak (MiB) | requests / s |")
    print("|---|---|---|")
    with (
        server() as url,
        tempfile.TemporaryDirectory() as journal,
    ):
        settings = ServiceLLMSettings(
            provider="gemini", model="stand-in-memory", base_url=url, requests_per_minute=_ENDLESS
        )
        with open_service_llm(settings, journal_uri=journal, component="b", round=1) as llm:
            start = time.monotonic()
            results = llm.map(itertools.islice(requests(), count))
            for number, _ in enumerate(results, start=1):
                if number in (_STEP // 20, count) or number % _STEP == 0:
                    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                    rate = number / (time.monotonic() - start)
                    print(f"| {number:,} | {peak:.0f} | {rate:.0f} |", flush=True)


if __name__ == "__main__":
    main()
