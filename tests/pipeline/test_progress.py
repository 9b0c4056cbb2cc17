import io
import logging
import os
import subprocess
import sys
import warnings

import pytest
from absl import logging as absl_logging

from pipeline.progress import progress_view
from pipeline.progress.display import Step, duration

PROGRESS = logging.getLogger("understudy.progress")


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def log(tmp_path):
    return tmp_path / "new" / "run.log"


def step(done, total, message="judge requests", unit="requests", **more):
    PROGRESS.info(message, extra={"progress": {"done": done, "total": total, "unit": unit, **more}})


def test_a_pipe_gets_a_line_for_the_start_and_the_end_of_a_component(log):
    out, clock = io.StringIO(), Clock()
    with progress_view(log, out, clock=clock) as view:
        view.round_started(1, 5)
        absl_logging.info("Component %s is running.", "Trainer")
        clock.now += 72
        absl_logging.info("Component %s is finished.", "Trainer")
        view.round_finished(1, "coverage rate 61.2 %")
    assert out.getvalue().splitlines() == [
        "Round 1 of at most 5",
        "  Trainer is running",
        "  Trainer finished after 1 min 12 s",
        "Round 1: coverage rate 61.2 %",
    ]


def test_a_round_that_runs_in_parts_is_shown_as_one(log):
    """As after a pause: rows, model and push are three runs of TFX, and the first two repeat."""
    out, clock, ran = io.StringIO(), Clock(), set()
    with progress_view(log, out, clock=clock) as view:
        for names in (["SynthDataGen"], ["SynthDataGen", "Trainer"], ["SynthDataGen", "Trainer"]):
            view.round_started(1, 2, names)
            for name in names:
                absl_logging.info("Component %s is running.", name)
                if name in ran:
                    absl_logging.info("A cached execution %d is used.", 12)
                ran.add(name)
                absl_logging.info("Component %s is finished.", name)
        view.round_finished(1, "coverage rate 61.2 %")
        view.round_started(2, 2)
    assert out.getvalue().splitlines() == [
        "Round 1 of at most 2",
        "  SynthDataGen is running",
        "  SynthDataGen finished after 0.0 s",
        "  Trainer is running",
        "  Trainer finished after 0.0 s",
        "Round 1: coverage rate 61.2 %",
        "Round 2 of at most 2",
    ]


def test_a_component_whose_outputs_come_from_the_cache_says_so(log):
    out = io.StringIO()
    with progress_view(log, out, clock=Clock()):
        absl_logging.info("Component %s is running.", "Transform")
        absl_logging.info("A cached execution %d is used.", 12)
        absl_logging.info("Component %s is finished.", "Transform")
    assert out.getvalue().splitlines() == ["  Transform is running", "  Transform is cached"]


@pytest.mark.parametrize(
    ("seconds_each", "done", "shown"),
    [
        pytest.param(0.01, range(1, 101), [1], id="a short step has one line"),
        pytest.param(5, range(1, 101), [1, 11, 21, 31, 41, 51, 61, 71, 81, 91], id="each tenth"),
        pytest.param(0.5, range(1, 101), [1, 21, 41, 61, 81], id="each ten seconds"),
    ],
)
def test_a_step_has_a_line_when_ten_seconds_and_a_tenth_have_passed(log, seconds_each, done, shown):
    out, clock = io.StringIO(), Clock()
    with progress_view(log, out, clock=clock):
        for number in done:
            step(number, 100)
            clock.now += seconds_each
    assert out.getvalue().splitlines() == [
        f"    judge requests: {n} of 100 requests" for n in shown
    ]


def test_a_new_step_is_shown_at_once_with_its_figures(log):
    out = io.StringIO()
    with progress_view(log, out, clock=Clock()):
        step(3, 10, "prompt requests")
        step(1, 4, "training", "steps", loss=1.23456, seconds_left=65)
        PROGRESS.info("not pushed: %s", "the model was not blessed")
    assert out.getvalue().splitlines() == [
        "    prompt requests: 3 of 10 requests",
        "    training: 1 of 4 steps, loss 1.235, 1 min 05 s left",
        "    not pushed: the model was not blessed",
    ]


def test_log_records_and_warnings_go_to_the_file_only(log):
    out = io.StringIO()
    with warnings.catch_warnings(), progress_view(log, out):
        warnings.simplefilter("always")
        logging.getLogger("apache_beam").info("a bundle")
        absl_logging.warning("an old API")
        warnings.warn("a warning of Python", UserWarning, stacklevel=1)
        step(2, 4)
    assert out.getvalue() == "    judge requests: 2 of 4 requests\n"
    text = log.read_text()
    assert "INFO apache_beam: a bundle" in text
    assert "WARNING absl: an old API" in text
    assert "a warning of Python" in text
    assert "INFO understudy.progress: judge requests: 2 of 4 requests" in text


def test_a_record_that_cannot_be_shown_does_not_stop_the_component(log):
    out = io.StringIO()
    with progress_view(log, out):
        PROGRESS.info("odd", extra={"progress": {"colour": "red"}})
        PROGRESS.info("fine")
    assert out.getvalue() == "    fine\n"


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_descriptors_and_logging_are_restored(log, capfd, error):
    root, absl = logging.getLogger(), absl_logging.get_absl_logger()
    before = (root.handlers[:], root.level, absl.level, warnings.showwarning)

    def run():
        with progress_view(log, io.StringIO()):
            os.write(1, b"native one\n")
            os.write(2, b"native two\n")
            if error:
                raise error

    if error:
        with pytest.raises(error):
            run()
    else:
        run()
    os.write(1, b"after one\n")
    os.write(2, b"after two\n")
    assert (root.handlers[:], root.level, absl.level, warnings.showwarning) == before
    assert capfd.readouterr() == ("after one\n", "after two\n")
    assert log.read_text() == "native one\nnative two\n"


def test_a_second_run_appends_to_the_log(log):
    for text in (b"first\n", b"second\n"):
        with progress_view(log, io.StringIO()):
            os.write(2, text)
    assert log.read_text() == "first\nsecond\n"


_PROGRAM = """
import os, subprocess, sys
from pathlib import Path
from pipeline.progress import progress_view
print("before")
with progress_view(Path(sys.argv[1])) as view:
    view.round_started(1, 2)
    print("printed")
    os.write(2, b"native\\n")
    subprocess.run(["echo", "a child"], check=True)
print("after")
"""


def test_the_standard_error_shows_progress_and_nothing_else(log):
    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(log)], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "before\nafter\n"
    assert ran.stderr == "Round 1 of at most 2\n"
    assert sorted(log.read_text().splitlines()) == ["a child", "native", "printed"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 00 s"), (3600, "1 h 00 min")],
)
def test_a_duration_is_said_in_its_own_unit(seconds, text):
    assert duration(seconds) == text


def test_a_step_that_is_at_its_end_has_no_time_left():
    assert Step("training", 4, 4, "steps", seconds_left=0).figures() == "4 of 4 steps"
