"""The live view on a pseudo-terminal."""

import fcntl
import logging
import os
import re
import select
import struct
import termios

import pytest
from absl import logging as absl_logging

from pipeline.progress import progress_view

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PATIENCE_SECONDS = 20
_WIDTH = 70


class Terminal:
    def __init__(self):
        try:
            self.master, self._slave = os.openpty()
        except OSError as error:  # for example in a chroot without /dev/pts
            pytest.skip(f"this machine gives no pseudo-terminal: {error}")
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, _WIDTH, 0, 0))
        self.stream = os.fdopen(self._slave, "w", encoding="utf-8", buffering=1)
        self.raw = ""

    def read_until(self, text):
        """Everything drawn so far, once `text` is part of it."""
        while text not in _ESCAPES.sub("", self.raw):
            ready, _, _ = select.select([self.master], [], [], _PATIENCE_SECONDS)
            assert ready, f"{text!r} was not drawn: {self.raw!r}"
            self.raw += os.read(self.master, 65536).decode("utf-8", "replace")
        return _ESCAPES.sub("", self.raw)


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    opened = Terminal()
    yield opened
    opened.stream.close()
    os.close(opened.master)


def test_the_view_shows_round_components_and_the_bar(tmp_path, terminal):
    with progress_view(tmp_path / "run.log", terminal.stream) as view:
        view.round_started(2, 5)
        terminal.read_until("Round 2 of at most 5")
        for name in ("CoverageExampleGen", "SynthDataGen"):
            absl_logging.info("Component %s is running.", name)
            absl_logging.info("Component %s is finished.", name)
        drawn = terminal.read_until("2 done: CoverageExampleGen 0.0 s, SynthDataGen 0.0 s")
        absl_logging.info("Component %s is running.", "Trainer")
        absl_logging.warning("must not be seen")
        logging.getLogger("understudy.progress").info(
            "training",
            extra={"progress": {"done": 30, "total": 120, "unit": "steps", "loss": 0.5}},
        )
        drawn = terminal.read_until("30 of 120 steps, loss 0.500")
        assert "Trainer" in drawn
        assert "━" in drawn, "the bar"
        view.round_finished(2, "coverage rate 61.2 %")
        drawn = terminal.read_until("Round 2: coverage rate 61.2 %")
    assert "must not be seen" not in drawn
    lines = re.split(r"[\r\n]+", drawn)
    assert max(map(len, lines)) <= _WIDTH, "a line that wraps cannot be drawn over"


def test_the_cursor_comes_back_after_ctrl_c(tmp_path, terminal):
    def interrupted():
        with progress_view(tmp_path / "run.log", terminal.stream) as view:
            view.round_started(1, 1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    terminal.stream.write("end\n")
    terminal.read_until("end")
    assert terminal.raw.rindex("\x1b[?25h") > terminal.raw.rindex("\x1b[?25l")


def test_a_dumb_terminal_gets_plain_lines(tmp_path, terminal, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    with progress_view(tmp_path / "run.log", terminal.stream) as view:
        view.round_started(1, 1)
    terminal.read_until("Round 1 of at most 1")
    assert "\x1b" not in terminal.raw
