"""Seconds from Ctrl-C to the end of a run, at moments spread over it; the goal is three.

`python -m benchmarks.interrupts` prints a Markdown table; it takes about ten minutes. A run of the
preset `smoke` is interrupted again and again, each time later in it, and every time it resumes
where the one before ended. The run after the last interrupt has to finish.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.processes import progress

_INTERRUPTS = 12
# Seconds until the interrupt: imports, start of TFX, the components' work; runs resume, so that
# the same moment of the next run is later in the pipeline.
_DELAYS = (1.0, 4.0, 8.0, 13.0, 19.0, 26.0)
_GOAL_SECONDS = 3.0
_LIMIT_SECONDS = 120.0  # a command that has not ended by then is killed
_INTERRUPTED = 130  # the exit status


class Interrupted(NamedTuple):
    """A run that was interrupted.

    Attributes:
        delay: Seconds from its start to Ctrl-C.
        seconds: From Ctrl-C to the end of the process.
        status: Its exit status.
    """

    delay: float
    seconds: float
    status: int


def interrupt(command: list[str], delay: float) -> Interrupted:
    """Start a command, press Ctrl-C, and wait for its end, for two minutes at most.

    Args:
        command: With its arguments.
        delay: Seconds until Ctrl-C; a command that ends before is not interrupted.
    """
    quiet = subprocess.DEVNULL
    # A terminal sends the signal to the whole group.
    with subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=True) as process:
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGINT)
        pressed = time.perf_counter()
        try:
            status = process.wait(_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            status = process.wait()
    return Interrupted(delay, time.perf_counter() - pressed, status)


def table(found: list[Interrupted]) -> str:
    """Format what was measured; runs that ended by themselves are left out."""
    ended = [each for each in found if each.status == _INTERRUPTED]
    others = sorted({each.status for each in found} - {_INTERRUPTED, 0})
    seconds = [each.seconds for each in ended]
    lines = [
        "| Ctrl-C | median, seconds | slowest | within 3 s | other exit statuses |",
        "|---|---|---|---|---|",
        f"| {len(ended)} times | {statistics.median(seconds):.1f} | {max(seconds):.1f} | "
        f"{sum(each <= _GOAL_SECONDS for each in seconds)} | "
        f"{', '.join(map(str, others)) or 'none'} |",
    ]
    return "\n".join(lines)


def main() -> None:
    """Interrupt runs, finish the last one, and print the table.

    Raises:
        SystemExit: The run cannot be finished after the interrupts.
    """
    found = []
    with tempfile.TemporaryDirectory() as folder:
        settings = ("--preset", "smoke", "--set", f"output_dir={Path(folder) / 'run'}")
        command = [sys.executable, "local_runner.py", "run", *settings]
        for number in range(_INTERRUPTS):
            delay = _DELAYS[number % len(_DELAYS)]
            found.append(interrupt(command, delay))
            progress(f"{number + 1} of {_INTERRUPTS}: {found[-1]}")
        done = subprocess.run(command, stdout=sys.stderr, check=False)
    if done.returncode:
        raise SystemExit(f"The run after the interrupts ended with {done.returncode}.")
    print(table(found))


if __name__ == "__main__":
    main()
