"""Writes the run's page before its first round has ended: what is running, and for how long."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from core import artifact_files
from reports.links import address
from reports.run_page.files import replace_file
from reports.theme import render_page

_TEMPLATE = Path(__file__).parent / "templates" / "started.html.j2"
_MARK = 'data-is="started"'  # in the page: it shows no results that could be lost


class ComponentLine(NamedTuple):
    """A component of the round: `done`, `cached`, `running` or `waiting`, and how long it took."""

    name: str
    state: str
    seconds: float | None = None


class StartedRun(NamedTuple):
    """A run without a finished round.

    Attributes:
        name: The pipeline.
        task: The task.
        log: The run's log, to be named.
        title: Which round it is; empty before the first.
        components: Those of the round.
        rest: What remains, in words; empty where that is unknown.
        spent_usd: What all replies cost so far; None where that is unknown.
        has_stopped: Whether the run ended before the round did.
    """

    name: str
    task: str
    log: Path
    title: str = ""
    components: Sequence[ComponentLine] = ()
    rest: str = ""
    spent_usd: float | None = None
    has_stopped: bool = False


def write_started(report_file: Path, run: StartedRun) -> None:
    """Write the page; the report of an earlier run is kept next to it, and linked.

    Args:
        report_file: The report's file.
        run: The run.
    """
    previous = report_file.with_name(artifact_files.PREVIOUS_RUN_PAGE)
    if report_file.exists() and not is_started(report_file):
        os.replace(report_file, previous)
    page = render_page(
        _TEMPLATE,
        run=run,
        log_address=address(str(run.log), report_file.parent),
        previous=previous.name if previous.is_file() else None,
    )
    replace_file(report_file, page)


def write_stopped(report_file: Path, run: StartedRun) -> None:
    """Put the earlier run's report back, or say that the run ended before its first round did.

    Nothing is changed where a round has ended, and the page shows it.
    """
    if not is_started(report_file):
        return
    previous = report_file.with_name(artifact_files.PREVIOUS_RUN_PAGE)
    if previous.is_file():
        os.replace(previous, report_file)
    else:
        write_started(report_file, run._replace(has_stopped=True, rest=""))


def is_started(report_file: Path) -> bool:
    """Whether the file is the page of a run without a finished round."""
    return report_file.is_file() and _MARK in report_file.read_text("utf-8", "replace")
