"""Killed with SIGKILL at random moments, a run pays for no reply twice and ends with all rows."""

import json
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

from components.service_llm.journal import Journal, request_key
from components.service_llm.types import Request
from tests.components.service_llm.conftest import Word, gemini_reply, prompt_of

KILLS = 20
REQUESTS = 400
PROGRAM = """
import sys
from components.service_llm.client import open_service_llm
from components.service_llm.settings import ServiceLLMSettings
from components.service_llm.types import Request
from tests.components.service_llm.conftest import Word

settings = ServiceLLMSettings.model_validate_json(sys.argv[1])
requests = [Request(f"word {number}", Word) for number in range(int(sys.argv[3]))]
with open_service_llm(settings, journal_uri=sys.argv[2], component="c", round=1) as llm:
    rows = sorted(result.value.word for result in llm.map(requests))
print("\\n".join(rows))
"""


@pytest.mark.slow
def test_no_reply_is_paid_for_twice(tmp_path, server, settings):
    rng = random.Random(7)
    received_now = threading.Event()

    def respond(body, number):
        received_now.set()
        time.sleep(0.02)
        return gemini_reply(json.dumps({"word": prompt_of(body)}))

    server.respond = respond
    configured = settings(max_concurrency=4)
    folder = tmp_path / "journal"
    command = [
        sys.executable, "-c", PROGRAM, configured.model_dump_json(), str(folder), str(REQUESTS),
    ]  # fmt: skip

    def journaled():
        journal = Journal(str(folder))
        known = {
            prompt
            for prompt in (f"word {number}" for number in range(REQUESTS))
            if journal.answer(request_key(configured, Request(prompt, Word))) is not None
        }
        journal.close()
        return known

    for _ in range(KILLS):
        before, sent = journaled(), len(server.bodies)
        received_now.clear()
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        assert received_now.wait(60)
        time.sleep(rng.uniform(0.0, 0.08))
        run.send_signal(signal.SIGKILL)
        run.wait()
        assert not before & set(server.prompts[sent:])
    before, sent = journaled(), len(server.bodies)
    assert 0 < len(before) < REQUESTS, "the kills hit a run that was under way"
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert sorted(server.prompts[sent:]) == sorted(
        {f"word {number}" for number in range(REQUESTS)} - before
    )
    assert done.stdout.split("\n")[:-1] == sorted(f"word {number}" for number in range(REQUESTS))
