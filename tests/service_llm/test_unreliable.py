"""Thousands of requests to a service that stalls, resets and lies: all answered, memory flat."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from service_llm.client import open_service_llm
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Request
from tests.service_llm.conftest import Word

ROOT = Path(__file__).parents[2]
# The journal holds a key and a place of each reply in memory: some 400 bytes.
MAX_BYTES_A_REQUEST = 1_000


@pytest.fixture
def url():
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.service_llm.unreliable_server"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process.stdout.readline().strip()
    process.kill()
    process.wait()


def resident_bytes():
    gc.collect()
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    "count", [2_000, pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.soak])]
)
def test_all_requests_are_answered_once_and_memory_stays_flat(url, tmp_path, count):
    settings = ServiceLLMSettings(
        provider="gemini",
        model="gemini-2.5-flash",
        base_url=url,
        requests_per_minute=600_000,
        max_concurrency=64,
        timeout_seconds=20,
        retry_seconds=0.01,
        max_attempts=10,
    )
    requests = (Request(f"word {number}", Word) for number in range(count))
    answered, begun = set(), 0
    with open_service_llm(settings, journal_uri=str(tmp_path), component="c", round=1) as llm:
        for number, result in enumerate(llm.map(requests), start=1):
            assert result.value.word == result.request.prompt, result.error
            answered.add(int(result.value.word.removeprefix("word ")))
            if number == count // 5:
                begun = resident_bytes()
        grown = resident_bytes() - begun
        assert llm.usage().calls >= count
    assert answered == set(range(count))
    if count > 10_000:  # of few requests, libraries' caches are the most
        assert grown / (0.8 * count) < MAX_BYTES_A_REQUEST, f"{grown:,} bytes more"
    with open_service_llm(settings, journal_uri=str(tmp_path), component="c", round=1) as llm:
        requests = (Request(f"word {number}", Word) for number in range(count))
        assert all(result.from_journal for result in llm.map(requests))
