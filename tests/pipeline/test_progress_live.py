"""The live view on a pseudo-terminal."""

import codecs
import contextlib
import fcntl
import logging
import os
import re
import struct
import termios
import threading

import pytest
from absl import logging as absl_logging

from pipeline.progress import progress_view

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PATIENCE_SECONDS = 20
_WIDTH = 70


class Terminal:
    """A pseudo-terminal that is read all the time, as a real one is: a full one blocks writers."""

    def __init__(self):
        try:
            self._master, slave = os.openpty()
        except OSError as error:  # for example in a chroot without /dev/pts
            pytest.skip(f"this machine gives no pseudo-terminal: {error}")
        self.stream = os.fdopen(slave, "w", encoding="utf-8", buffering=1)
        self.resize(30, _WIDTH)
        self.raw = ""
        self._more = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def resize(self, lines, columns):
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self.stream.fileno(), termios.TIOCSWINSZ, size)

    def read_until(self, text):
        """Everything drawn so far, once `text` is part of it."""
        with self._more:
            drawn = self._more.wait_for(lambda: text in self._text(), _PATIENCE_SECONDS)
            assert drawn, f"{text!r} was not drawn: {self.raw[-5000:]!r}"
            return self._text()

    def _text(self):
        return _ESCAPES.sub("", self.raw)

    def _read(self):
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        with contextlib.suppress(OSError):  # the other end is closed
            while data := os.read(self._master, 65536):
                with self._more:
                    self.raw += decoder.decode(data)
                    self._more.notify_all()
        os.close(self._master)


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    opened = Terminal()
    yield opened
    opened.stream.close()


def test_the_view_shows_round_components_and_the_bar(tmp_path, terminal):
    with progress_view(tmp_path / "run.log", terminal.stream) as view:
        view.round_started(2, 5, ["CoverageExampleGen", "SynthDataGen", "Trainer", "HFPusher"])
        terminal.read_until("Round 2 of at most 5")
        absl_logging.info("Component %s is running.", "CoverageExampleGen")
        absl_logging.info("A cached execution %d is used.", 7)
        absl_logging.info("Component %s is finished.", "CoverageExampleGen")
        absl_logging.info("Component %s is running.", "SynthDataGen")
        absl_logging.info("Component %s is finished.", "SynthDataGen")
        drawn = terminal.read_until("✓ SynthDataGen            0.0 s")
        assert "✓ CoverageExampleGen      cached" in drawn
        assert "· HFPusher" in drawn
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


def test_the_bar_gives_way_to_the_figures(tmp_path, terminal):
    figures = {"done": 226, "total": 954, "unit": "steps", "loss": 0.248, "seconds_left": 672}
    with progress_view(tmp_path / "run.log", terminal.stream) as view:
        view.round_started(1, 1, ["Trainer"])
        absl_logging.info("Component %s is running.", "Trainer")
        logging.getLogger("understudy.progress").info("training", extra={"progress": figures})
        drawn = terminal.read_until("226 of 954 steps, loss 0.248, 11 min 12 s left")
    assert "━" in drawn


def test_a_round_of_the_demo_fits_a_small_terminal_with_what_remains(tmp_path, terminal):
    terminal.resize(24, 80)
    names = [f"Component{number}" for number in range(18)]
    clock = Clock()

    def run_one(name):
        absl_logging.info("Component %s is running.", name)
        clock.now += 60
        absl_logging.info("Component %s is finished.", name)

    with progress_view(tmp_path / "run.log", terminal.stream, clock=clock) as view:
        view.round_started(1, 3, names)
        for name in names:
            run_one(name)
        view.round_finished(1, "coverage rate 65.9 %", "best 65.9 % (round 1)", 0.12)
        view.round_started(2, 3, names)
        run_one(names[0])
        absl_logging.info("Component %s is running.", names[1])
        clock.now += 20
        logging.getLogger("understudy.progress").info(
            "judge requests", extra={"progress": {"done": 1, "total": 9, "unit": "requests"}}
        )
        terminal.read_until(
            "About 16 min 40 s left in this round, about 34 min 40 s for all 3 rounds"
        )
        drawn = terminal.read_until("1 of 9 requests")
    assert "best 65.9 % (round 1)  0.12 USD so far" in drawn
    assert "· Component17" in drawn
    frames = drawn.split("Round 2 of")[1:]
    # A frame that is higher than the terminal cannot be drawn over.
    assert max(frame.count("\n") for frame in frames) in range(19, 24)


def test_the_first_round_says_what_remains_and_what_was_spent(tmp_path, terminal):
    terminal.resize(24, 80)
    clock = Clock()
    with progress_view(tmp_path / "run.log", terminal.stream, clock=clock) as view:
        view.expect([{"SynthDataGen": 60, "Trainer": 240}])
        view.round_started(1, 3, ["SynthDataGen", "Trainer"])
        terminal.read_until(
            "About 5 min 00 s left in this round, about 15 min 00 s for all 3 rounds"
        )
        absl_logging.info("Component %s is running.", "SynthDataGen")
        logging.getLogger("understudy.spending").debug("a reply", extra={"spent_usd": 0.125})
        clock.now += 30
        absl_logging.info("Component %s is finished.", "SynthDataGen")
        # What it took counts from now on, and the minute that was expected no longer.
        terminal.read_until(
            "About 4 min 00 s left in this round, about 13 min 00 s for all 3 rounds"
        )
        terminal.read_until("0.12 USD so far")
        view.round_finished(1, "coverage rate 61.2 % (holdout), threshold not reached", "", 0.1)
        view.round_started(2, 3, ["SynthDataGen", "Trainer"])
        terminal.read_until("Round 2 of at most 3  0.0 s  0.12 USD so far")
    assert "spent" not in (tmp_path / "run.log").read_text(encoding="utf-8")


def test_without_a_reply_the_rounds_say_what_was_spent(tmp_path, terminal):
    with progress_view(tmp_path / "run.log", terminal.stream) as view:
        view.round_started(1, 2)
        view.round_finished(1, "coverage rate 61.2 %", "best 61.2 % (round 1)", 1.5)
        terminal.read_until("best 61.2 % (round 1)  1.50 USD so far")


def test_the_oldest_finished_components_give_way_where_the_terminal_is_low(tmp_path, terminal):
    terminal.resize(12, 80)
    names = [f"Component{number:02}" for number in range(18)]
    with progress_view(tmp_path / "run.log", terminal.stream) as view:
        view.round_started(1, 1, names)
        for name in names[:14]:
            absl_logging.info("Component %s is running.", name)
            absl_logging.info("Component %s is finished.", name)
        absl_logging.info("Component %s is running.", names[14])
        drawn = terminal.read_until("▸ Component14")
    last = drawn[drawn.rindex("Round 1 of") :]
    assert "Component10" not in last
    assert "Component13" in last
    assert "Component17" in last


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
