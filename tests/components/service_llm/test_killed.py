"""Killed with SIGKILL at random moments, a run pays for no reply twice and ends with all rows."""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from components.service_llm.journal import Journal, request_key
from components.service_llm.settings import ServiceLLMSettings
from components.service_llm.types import Request
from standin.server import serve
from tests.components.service_llm.conftest import Word, gemini_reply, prompt_of

KILLS = 20
REQUESTS = 400
CONCURRENCY = 4
CLIENT = """
import sys
from components.service_llm.client import open_service_llm
from components.service_llm.settings import ServiceLLMSettings
from components.service_llm.types import Request
from tests.components.service_llm.conftest import Word

settings = ServiceLLMSettings.model_validate_json(sys.argv[1])
requests = [Request(f"word {number}", Word) for number in range(int(sys.argv[3]))]
with open_service_llm(settings, journal_uri=sys.argv[2], component="c", round=1) as llm:
    rows = sorted(result.value.word for result in llm.map(requests))
    usage = llm.usage()
print("\\n".join([*rows, str(usage)]))
"""
GENERATOR = """
import sys
from components.coverage_example_gen.reader import read_coverage
from components.service_llm.client import open_service_llm
from components.service_llm.settings import ServiceLLMSettings
from components.synth_data_gen.aim import uniform_weights
from components.synth_data_gen.answer import Answerer
from components.synth_data_gen.filters import PromptFilter
from components.synth_data_gen.generate import generate, propose_attributes
from components.synth_data_gen.requests import RequestBuilder
from components.synth_data_gen.settings import SynthSettings
from components.synth_data_gen.validate import infer_form
from components.task import Task

llm_settings = ServiceLLMSettings.model_validate_json(sys.argv[1])
settings = SynthSettings(rows_per_round=60, samples=3, quality_filter=True)
task = Task(name="support_triage", instruction="Triage the message as one JSON object.")
rows = read_coverage("data/coverage/smoke")
seeds = [row for row in rows if row.split == "seed"]
with open_service_llm(
    llm_settings, journal_uri=sys.argv[2], component="SynthDataGen", round=1
) as llm:
    builder = RequestBuilder(task, settings, llm.salt(), seeds)
    form = infer_form([seed.output for seed in seeds])
    found = generate(
        llm,
        builder,
        PromptFilter(rows, [], settings, None),
        Answerer(llm, builder, form),
        weights=uniform_weights(seeds),
        attributes=propose_attributes(llm, builder),
        round=1,
    )
    print(*found.kept, *found.dropped, llm.usage(), sep="\\n")
"""


def rows_of(program, settings, journal):
    return subprocess.run(
        [sys.executable, "-c", program, settings.model_dump_json(), str(journal), str(REQUESTS)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def killed(program, settings, journal, is_time, seconds):
    """Kills a run some time after it is time; whether it was still under way."""
    run = subprocess.Popen(
        [sys.executable, "-c", program, settings.model_dump_json(), str(journal), str(REQUESTS)],
        stdout=subprocess.DEVNULL,
    )
    while not is_time() and run.poll() is None:
        time.sleep(0.005)
    time.sleep(seconds)
    run.send_signal(signal.SIGKILL)
    return run.wait() == -signal.SIGKILL


def answers():
    """A word; of every seventh request at first something that cannot be read."""

    def respond(body, _):
        time.sleep(0.02)
        word, _, again = prompt_of(body).partition("\n")
        unreadable = int(word.split()[1]) % 7 == 0 and not again
        return gemini_reply("no JSON" if unreadable else json.dumps({"word": word}))

    return respond


@pytest.mark.slow
def test_no_reply_is_paid_for_twice(tmp_path, server, settings):
    rng = random.Random(7)
    server.respond = answers()
    configured = settings(max_concurrency=CONCURRENCY)
    folder = tmp_path / "journal"

    def journaled():
        journal = Journal(str(folder))
        known = {
            prompt
            for prompt in (f"word {number}" for number in range(REQUESTS))
            if journal.answer(request_key(configured, Request(prompt, Word))) is not None
        }
        journal.close()
        return known

    def sent_since(count):
        return [prompt.partition("\n")[0] for prompt in server.prompts[count:]]

    under_way = 0
    for _ in range(KILLS):
        before, sent = journaled(), len(server.bodies)
        more = sent + rng.randrange(0, 20)
        under_way += killed(
            CLIENT, configured, folder, lambda more=more: len(server.bodies) > more,
            rng.uniform(0.0, 0.05),
        )  # fmt: skip
        assert not before & set(sent_since(sent))
    assert under_way == KILLS, "the kills hit a run that was under way"
    before, sent = journaled(), len(server.bodies)
    rows = rows_of(CLIENT, configured, folder).splitlines()
    missing = {f"word {number}" for number in range(REQUESTS)} - before
    assert set(sent_since(sent)) == missing
    unbroken = rows_of(CLIENT, configured, tmp_path / "other").splitlines()
    assert rows[:-1] == unbroken[:-1] == sorted(f"word {number}" for number in range(REQUESTS))


@pytest.mark.slow
def test_synth_data_gen_ends_with_the_rows_of_an_unbroken_run(tmp_path):
    rng = random.Random(11)

    def requests_of(name):
        lines = (tmp_path / name).read_text(encoding="utf-8").splitlines()
        return Counter(lines)

    def served(name):
        return serve(latency_seconds=0.02, record_file=tmp_path / name)

    def settings_of(server):
        return ServiceLLMSettings(
            provider="gemini",
            model="stand-in-demo",
            base_url=server.url,
            requests_per_minute=100_000,
            max_concurrency=CONCURRENCY,
        )

    with served("broken.jsonl") as server:
        settings = settings_of(server)
        for _ in range(KILLS):
            more = server.stats()["requests"] + rng.randrange(0, 10)
            assert killed(
                GENERATOR, settings, tmp_path / "journal",
                lambda more=more: server.stats()["requests"] > more, rng.uniform(0.0, 0.05),
            )  # fmt: skip
        rows = rows_of(GENERATOR, settings, tmp_path / "journal")
    broken = requests_of("broken.jsonl")
    journal = [
        json.loads(line)
        for path in (tmp_path / "journal").glob("*.jsonl")
        for line in path.read_bytes().split(b"\n")
        if line.endswith(b"}")
    ]
    keys = Counter(line["key"] for line in journal if line["error"] is None)
    assert max(keys.values()) == 1, "nothing that was journaled was asked for again"
    assert len(keys) == len(broken)
    assert broken.total() - len(broken) <= KILLS * CONCURRENCY, "only what a kill cut off"

    # The same salt makes the same requests; the port of the server is part of the journal's key.
    (tmp_path / "other").mkdir()
    Path(tmp_path, "other", "salt").write_bytes((tmp_path / "journal" / "salt").read_bytes())
    with served("unbroken.jsonl") as server:
        assert rows_of(GENERATOR, settings_of(server), tmp_path / "other") == rows
    unbroken = requests_of("unbroken.jsonl")
    assert set(unbroken) == set(broken)
    assert max(unbroken.values()) == 1
