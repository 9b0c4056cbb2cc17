"""Killed with SIGKILL at random moments, a run pays for no reply twice and ends with all rows."""

import json
import multiprocessing
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from service_llm.journal.journal import Journal, request_key
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Request
from standin.server import serve
from tests.service_llm.conftest import Word, gemini_reply, prompt_of
from tests.service_llm.killed_runs import REQUESTS, ask, generate_round

KILLS = 20
CONCURRENCY = 4
# Imported once: every run is a fork of a process that did nothing else.
IMPORTED = ["pytest", "service_llm.providers.gemini", ask.__module__]


@pytest.fixture
def start(tmp_path):
    """Starts a run; its result is a file of this folder."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)

    def start(program, settings, journal):
        arguments = (settings, str(journal), str(tmp_path / "result"))
        process = context.Process(target=program, args=arguments)
        process.start()
        return process

    return start


@pytest.fixture
def rows_of(start, tmp_path):
    """The lines that a run writes when nobody kills it."""

    def rows_of(program, settings, journal):
        run = start(program, settings, journal)
        run.join()
        assert run.exitcode == 0
        return (tmp_path / "result").read_text(encoding="utf-8").split("\n")

    return rows_of


@pytest.fixture
def killed(start):
    """Kills a run some time after it is time; whether it was still under way."""

    def killed(program, settings, journal, is_time, seconds):
        run = start(program, settings, journal)
        while not is_time() and run.is_alive():
            time.sleep(0.005)
        time.sleep(seconds)
        run.kill()
        run.join()
        return run.exitcode == -signal.SIGKILL

    return killed


def answers():
    """A word; of every seventh request at first something that cannot be read."""

    def respond(body, _):
        time.sleep(0.02)
        word, _, again = prompt_of(body).partition("\n")
        unreadable = int(word.split()[1]) % 7 == 0 and not again
        return gemini_reply("no JSON" if unreadable else json.dumps({"word": word}))

    return respond


@pytest.mark.slow
def test_no_reply_is_paid_for_twice(tmp_path, server, settings, killed, rows_of):
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

    in_flight = 0
    for _ in range(KILLS):
        before, sent = journaled(), len(server.bodies)
        more = sent + rng.randrange(0, 20)
        in_flight += killed(
            ask, configured, folder, lambda more=more: len(server.bodies) > more,
            rng.uniform(0.0, 0.05),
        )  # fmt: skip
        assert not before & set(sent_since(sent))
    assert in_flight == KILLS, "the kills hit a run that was under way"
    before, sent = journaled(), len(server.bodies)
    rows = rows_of(ask, configured, folder)
    missing = {f"word {number}" for number in range(REQUESTS)} - before
    assert set(sent_since(sent)) == missing
    unbroken = rows_of(ask, configured, tmp_path / "other")
    assert rows[:-1] == unbroken[:-1] == sorted(f"word {number}" for number in range(REQUESTS))


@pytest.mark.slow
def test_synth_data_gen_ends_with_the_rows_of_an_unbroken_run(tmp_path, killed, rows_of):
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
                generate_round, settings, tmp_path / "journal",
                lambda more=more: server.stats()["requests"] > more, rng.uniform(0.0, 0.05),
            )  # fmt: skip
        rows = rows_of(generate_round, settings, tmp_path / "journal")
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
    assert {line["component"] for line in journal} == {"SynthDataGen", "SynthDataGen, embeddings"}
    assert broken.total() - len(broken) <= KILLS * CONCURRENCY, "only what a kill cut off"

    # The same salt makes the same requests; the port of the server is part of the journal's key.
    (tmp_path / "other").mkdir()
    Path(tmp_path, "other", "salt").write_bytes((tmp_path / "journal" / "salt").read_bytes())
    with served("unbroken.jsonl") as server:
        assert rows_of(generate_round, settings_of(server), tmp_path / "other") == rows
    unbroken = requests_of("unbroken.jsonl")
    assert set(unbroken) == set(broken)
    assert max(unbroken.values()) == 1
