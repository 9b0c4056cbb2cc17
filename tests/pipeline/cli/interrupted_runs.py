"""What `test_interruption` runs in processes of their own, as a command of `main`."""

import argparse
import contextlib
import gc
import hashlib
import os
import signal
import sys
import threading
import time

from pipeline.cli import interruption, main
from pipeline.cli.commands import Command
from service_llm.client import open_service_llm
from tests.service_llm.conftest import words


def start(name, end_seconds, folder, *arguments):
    """Run a function of this module as `main` runs a command; its output goes to files."""
    for descriptor, stream in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{folder}/{stream}", os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    interruption._END_SECONDS = end_seconds

    def command(say):
        with interruption.ends_on_ctrl_c():
            globals()[name](*arguments)

    globals()["command"] = command
    options = {main.COMMAND: Command("command", f"{__name__}:command", "", "", "", resumes=True)}
    parser = argparse.ArgumentParser()
    parser.parse_args = lambda _: argparse.Namespace(**options)
    main.make_parser = lambda *_: parser
    sys.exit(main.main([]))


def press():
    signal.raise_signal(signal.SIGINT)


def go_on():
    while True:
        time.sleep(0.01)


def in_a_finalizer():
    class Trash:
        def __del__(self):
            press()

    Trash()
    go_on()


def in_a_callback_of_the_garbage_collector():
    def pressed(phase, info):
        gc.callbacks.remove(pressed)
        press()

    gc.callbacks.append(pressed)
    gc.collect()
    go_on()


def where_everything_is_caught():
    for _ in range(2):
        with contextlib.suppress(BaseException):
            press()
    go_on()


def where_it_becomes_another_error():
    try:
        press()
    except KeyboardInterrupt:
        raise ValueError("The step failed.") from None


def while_it_cleans_up():
    try:
        press()
    finally:
        for _ in range(10):
            time.sleep(0.05)
        os.write(1, b"cleaned up")


def next_to_threads_that_never_end():
    for _ in range(3):
        threading.Thread(target=threading.Event().wait).start()
    press()


def in_native_code():
    """One call after the other, each longer than the process may take, and no handler's turn."""
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            hashlib.pbkdf2_hmac("sha256", b"a", b"b", 10**9)


def not_at_all():
    os.write(1, b"done")


def ask(settings, journal):
    with open_service_llm(settings, journal_uri=journal, component="c", round=1) as llm:
        list(llm.map(words(12)))
