"""Ctrl-C in processes of their own: wherever it arrives, `main` sees it, and the process ends."""

import json
import multiprocessing
import os
import signal
import threading

import pytest

from service_llm.journal.journal import Journal, request_key
from tests.pipeline.cli import interrupted_runs
from tests.service_llm.conftest import gemini_reply, prompt_of, server, settings, words

__all__ = ["server", "settings"]  # fixtures

LATE = 300  # seconds: only what is raised again ends the process before the test gives up
SAID = "Interrupted. Run the same command again to resume.\n"


@pytest.fixture(scope="module")
def context():
    """Imported once: every run is a fork of a process that did nothing else."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([interrupted_runs.__name__, "service_llm.providers.gemini"])
    return context


@pytest.fixture
def started(context, tmp_path):
    processes = []

    def started(function, *arguments, end_seconds=LATE):
        given = (function.__name__, end_seconds, str(tmp_path), *arguments)
        processes.append(context.Process(target=interrupted_runs.start, args=given))
        processes[-1].start()
        return processes[-1]

    yield started
    for process in processes:
        process.kill()


@pytest.fixture
def run(started, tmp_path):
    """Runs a function; returns the exit status, and what was said on both streams."""

    def run(function, **options):
        process = started(function, **options)
        process.join(60)
        said = [(tmp_path / name).read_text(encoding="utf-8") for name in ("out", "err")]
        return process.exitcode, *said

    return run


@pytest.mark.parametrize(
    "function",
    [
        interrupted_runs.in_a_finalizer,
        interrupted_runs.in_a_callback_of_the_garbage_collector,
        interrupted_runs.where_everything_is_caught,
        interrupted_runs.where_it_becomes_another_error,
    ],
    ids=lambda function: function.__name__,
)
def test_an_interrupt_that_is_lost_is_raised_again(run, function):
    status, _, said = run(function)
    assert status == 130, said
    assert said.endswith(SAID)


def test_cleaning_up_is_not_interrupted_again(run):
    assert run(interrupted_runs.while_it_cleans_up) == (130, "cleaned up", SAID)


@pytest.mark.parametrize(
    "function",
    [interrupted_runs.next_to_threads_that_never_end, interrupted_runs.in_native_code],
    ids=lambda function: function.__name__,
)
def test_what_never_returns_does_not_hold_up_the_end(run, function):
    assert run(function, end_seconds=0.5) == (130, "", SAID)


def test_without_an_interrupt_nothing_is_changed(run):
    assert run(interrupted_runs.not_at_all) == (0, "done", "")


def test_what_is_in_flight_is_kept_where_it_arrives_in_time(started, tmp_path, server, settings):
    """Of four requests in flight one is answered after Ctrl-C; the others never are."""
    pressed, over = threading.Event(), threading.Event()
    lock, in_flight, process = threading.Lock(), [], []

    def respond(body, number):
        word = prompt_of(body)
        if number > 2:
            with lock:
                in_flight.append(word)
                is_last = len(in_flight) == 4
            if is_last:
                os.kill(process[0].pid, signal.SIGINT)
                pressed.set()
            pressed.wait(30)
            if word != in_flight[0]:
                over.wait(30)
        return gemini_reply(json.dumps({"word": word}))

    server.respond = respond
    configured, folder = settings(max_concurrency=4), str(tmp_path / "journal")
    process.append(started(interrupted_runs.ask, configured, folder, end_seconds=30))
    process[0].join(60)
    over.set()
    assert process[0].exitcode == 130
    assert (tmp_path / "err").read_text(encoding="utf-8").endswith(SAID)
    journal = Journal(folder)
    kept = [
        request.prompt
        for request in words(12)
        if journal.answer(request_key(configured, request)) is not None
    ]
    journal.close()
    assert in_flight[0] in kept
    assert len(kept) == len(server.bodies) - 3, "nothing more was sent"
