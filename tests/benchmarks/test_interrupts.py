"""Ctrl-C in the benchmark reaches the whole group, and its table counts what it has to."""

import signal
import sys

from benchmarks.interrupts import Interrupted, interrupt, table

ENDS_BY_CTRL_C = ["sh", "-c", "trap 'exit 130' INT; while :; do sleep 0.1; done"]


def test_a_command_is_interrupted_after_the_delay():
    assert interrupt(ENDS_BY_CTRL_C, delay=2.0).status == 130


def test_a_command_that_ctrl_c_does_not_end_is_killed(monkeypatch):
    """As one that was started in the background, where shells ignore Ctrl-C."""
    monkeypatch.setattr("benchmarks.interrupts._LIMIT_SECONDS", 0.5)
    stays = ["sh", "-c", "trap '' INT; while :; do sleep 0.1; done"]
    assert interrupt(stays, delay=1.0).status == -signal.SIGKILL


def test_a_command_that_ends_before_is_not_interrupted():
    assert interrupt([sys.executable, "-c", ""], delay=60).status == 0


def test_the_table_leaves_finished_runs_out_and_names_other_ends():
    found = [Interrupted(1, 0.5, 130), Interrupted(4, 4.5, 130), Interrupted(8, 0.1, 0)]
    assert "| 2 times | 2.5 | 4.5 | 1 | none |" in table(found)
    assert "| 2 times | 2.5 | 4.5 | 1 | -9, 1 |" in table(
        [*found, Interrupted(8, 9.0, -9), Interrupted(8, 9.0, 1)]
    )
