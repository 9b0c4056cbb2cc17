"""The walk that is kept in a file: a new one, the one to resume, and one at a time."""

import contextlib
import datetime
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from core.claim import claim_file
from core.errors import UserError
from core.reports.cutover import DONE, WALKING, CutoverReport

_LOCK = ".cutover.lock"
_ALL = 100.0

Now = Callable[[], datetime.datetime]


def utc_now() -> datetime.datetime:
    """Return the time."""
    return datetime.datetime.now(datetime.UTC)


def stamp(time: datetime.datetime) -> str:
    """Return a time as captured exchanges have it."""
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_report(task: str, steps: Sequence[float], now: datetime.datetime) -> CutoverReport:
    """Return a walk that has not begun.

    Raises:
        UserError: The steps do not rise, are no percentages, or begin where no pair would come.
    """
    rising = all(first < second for first, second in itertools.pairwise(steps))
    if not (steps and rising and steps[0] > 0 and steps[-1] <= _ALL):
        given = ",".join(f"{step:g}" for step in steps)
        raise UserError(f"--steps {given} must increase, from above 0 to 100; write 1,5,25,100.")
    if steps[0] >= _ALL:
        raise UserError(
            "A walk cannot begin at 100 %: the service would answer nothing that the model could "
            "be compared with. Begin with a smaller step (--steps 25,100), or set the mode without "
            "a walk: understudy serve mode model."
        )
    began = stamp(now)
    return CutoverReport(
        task=task,
        round=None,
        steps=tuple(steps),
        status=WALKING,
        step=0,
        began=began,
        step_began=began,
        events=(),
    )


def read_steps(steps: str, to: float) -> list[float]:
    """Return the shares to walk through.

    Args:
        steps: Percentages, with commas between them.
        to: Where the walk ends; further ones are left out.

    Raises:
        UserError: They are no numbers.
    """
    try:
        found = [float(step) for step in steps.split(",")]
    except ValueError:
        raise UserError(
            f"--steps {steps!r} is not a list of percentages; write 1,5,25,100."
        ) from None
    return [*(step for step in found if step < to), to]


def walk_to_resume(file: Path, task: str, steps: Sequence[float]) -> CutoverReport:
    """Return the walk that was stopped, or a new one.

    Raises:
        UserError: The file cannot be read, or another walk is in progress or done.
    """
    if not os.path.isfile(file):
        return new_report(task, steps, utc_now())
    try:
        report = CutoverReport.read(str(file))
    except UserError:
        raise UserError(
            f"The walk's state file {str(file)!r} cannot be read. Go back "
            "(understudy cutover --back), and begin again."
        ) from None
    taken = ",".join(f"{step:g}" for step in report.steps)
    if report.status == WALKING:
        if report.steps == tuple(steps):
            return report
        raise UserError(
            f"A walk over {taken} % is at {report.percent:g} %. Resume it with --steps {taken} "
            f"--to {report.steps[-1]:g}, or go back first: understudy cutover --back."
        )
    if report.status == DONE and steps[0] <= report.percent:
        raise UserError(
            f"The walk over {taken} % is done: the model answers {report.percent:g} % of the "
            "users. To begin again, go back first: understudy cutover --back."
        )
    return new_report(task, steps, utc_now())


def walk_to_end(file: Path, task: str) -> CutoverReport:
    """Return the walk that goes back, whatever there is of it."""
    with contextlib.suppress(UserError):
        if os.path.isfile(file):
            return CutoverReport.read(str(file))
    return new_report(task, [1.0, _ALL], utc_now())


@contextlib.contextmanager
def claim_walk(folder: Path) -> Iterator[None]:
    """Keep a second walk out of a folder.

    Raises:
        UserError: Another one is in progress, or the folder cannot be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(
                claim_file(
                    folder / _LOCK,
                    "Another `understudy cutover` is walking. Let it, or stop it first; "
                    "understudy cutover --back goes back at any time.",
                )
            )
        except OSError as error:
            raise UserError(
                f"The walk's folder {str(folder)!r} cannot be written ({error.strerror}). "
                "Free space, or make the folder writable."
            ) from error
        yield
