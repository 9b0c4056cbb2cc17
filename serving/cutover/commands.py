"""The commands on real traffic: `confidence`, `verdict`, `cutover` and `watch`."""

import argparse
import asyncio
import contextlib
import functools
import sys
import time
from typing import TYPE_CHECKING

from core import artifact_files
from core.errors import EXIT_BAD_RESULT, UserError
from core.reports.cutover import BACK, WALKING
from core.reports.switch import WORSE
from core.reports.watch import WatchReport
from core.terminal import write_result
from core.whole_file import replace_file
from serving.commands import LoadPresets
from serving.preset import ServedPreset
from serving.running import GatewayAwayError, RunningGateway

if TYPE_CHECKING:  # it needs NumPy, and the command line does not
    from serving.cutover.walk import CutoverWalk

_LONGEST_WAIT_SECONDS = 86_400.0


def confidence(arguments: argparse.Namespace, load: LoadPresets) -> None:
    """Measure the confidence on the holdout and choose the threshold.

    Raises:
        UserError: The preset, its model or its judge cannot be used.
    """
    from serving.cutover.confidence import measure
    from serving.cutover.scoring import open_scorer

    with load([arguments.preset], arguments.overrides) as [preset]:
        with open_scorer(preset, "confidence") as scorer:
            report = asyncio.run(measure(preset, scorer))
        file = replace_file(preset.output_dir / artifact_files.CONFIDENCE, report.to_json())
        if report.chosen:
            print(f"The threshold is {report.chosen.threshold:.4f}.")  # noqa: T201
        print(f"{report.reason}\nWrote {file}.")  # noqa: T201
        _refresh_run_page(preset)


def verdict(arguments: argparse.Namespace, load: LoadPresets) -> None:
    """Judge the pairs of shadow mode and decide whether it is safe to switch.

    Raises:
        UserError: There is no captured exchange, or the judge cannot be used.
        SystemExit: With status 4 where the model is worse.
    """
    from reports.verdict_page.page import render_verdict
    from serving.cutover.scoring import open_scorer
    from serving.cutover.verdict import make_candidates, make_verdict, verdict_text

    with load([arguments.preset], arguments.overrides) as [preset]:
        with open_scorer(preset, "verdict") as scorer:
            report = make_verdict(preset, scorer, _served(preset))
        replace_file(preset.output_dir / artifact_files.VERDICT, report.to_json())
        page = replace_file(preset.output_dir / artifact_files.VERDICT_PAGE, render_verdict(report))
        rows = make_candidates(preset, report)
        lines = "".join(f"{row.to_json()}\n" for row in rows)
        replace_file(preset.output_dir / artifact_files.CANDIDATES, lines)
        write_result(f"{verdict_text(report)}\nThe pairs that differ, and the traffic: {page}")
        if rows:
            write_result(
                f"{len(rows)} requests may become coverage rows: understudy label --preset "
                f"{preset.preset}"
            )
    if report.overall and report.overall.state == WORSE:
        sys.exit(EXIT_BAD_RESULT)


def _served(preset: ServedPreset) -> str | None:
    """Return the model that a gateway on this machine serves now; None where there is none."""
    with contextlib.suppress(UserError):
        status = RunningGateway.of(preset.settings).status()
        for task in status.get("tasks", ()):
            if task["name"] == preset.task.name:
                return str(task["version"])
    return None


def add_cutover_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `cutover`."""
    parser.add_argument(
        "--to",
        type=float,
        default=100.0,
        metavar="P",
        help="percentage of users at which the walk ends (default: %(default)g)",
    )
    parser.add_argument(
        "--steps",
        default="1,5,25,100",
        metavar="P,P,...",
        help="percentages of users to walk through (default: %(default)s)",
    )
    parser.add_argument(
        "--back",
        action="store_true",
        help="give every request back to the service, at once (default: walk on)",
    )
    parser.add_argument(
        "--every",
        type=float,
        default=30.0,
        metavar="S",
        help="seconds between two checks of what was captured (default: %(default)g)",
    )
    parser.add_argument("--port", type=int, help="port of the gateway (default: the preset's)")


def goes_back(arguments: argparse.Namespace) -> bool:
    """Whether `cutover` only tells a gateway that runs to give the requests back."""
    return bool(arguments.back)


def cutover(arguments: argparse.Namespace, load: LoadPresets) -> None:
    """Walk the canary up until the last step, or back.

    Raises:
        UserError: No gateway answers, or the judge cannot be used; the canary stays as it is.
        SystemExit: With status 4 where it went back by itself.
    """
    from serving.cutover.kept_walk import claim_walk, read_steps, walk_to_end, walk_to_resume
    from serving.cutover.walk_back import KeptWalk

    if not 0 < arguments.every <= _LONGEST_WAIT_SECONDS:
        raise UserError(
            f"--every {arguments.every:g} must be above 0 and at most {_LONGEST_WAIT_SECONDS:g} "
            "seconds; write 30."
        )
    with load([arguments.preset], arguments.overrides) as [preset]:
        file, task = preset.output_dir / artifact_files.CUTOVER, preset.task.name
        gateway = RunningGateway.of(preset.settings, arguments.port)
        if arguments.back:
            report = walk_to_end(file, task)
            back = KeptWalk(report, file, gateway=gateway, say=write_result)
            back.go_back("asked for with --back")
            return
        if not preset.settings.capture.enabled:
            raise UserError(
                f"A walk is gated by captured exchanges, and {preset.preset} captures none: set "
                "serving.capture.enabled=true and restart `understudy serve`."
            )
        # They need NumPy, which a gateway alone does not have, and the way back must work there.
        from serving.cutover.scoring import open_scorer
        from serving.cutover.walk import CutoverWalk

        steps = read_steps(arguments.steps, arguments.to)
        with claim_walk(preset.output_dir), open_scorer(preset, "cutover") as scorer:
            report = walk_to_resume(file, task, steps)
            walk = CutoverWalk(
                preset, report, file, gateway=gateway, scorer=scorer, say=write_result
            )
            _walk_on(walk, arguments.every)
        if walk.report.status == BACK:
            sys.exit(EXIT_BAD_RESULT)


def _walk_on(walk: "CutoverWalk", every_seconds: float) -> None:
    """Look until the walk ends, or Ctrl-C; wait for a gateway or a capture folder that is away."""
    from serving.cutover.tail import CaptureAwayError

    is_away = is_unread = False
    try:
        walk.begin()
        while walk.report.status == WALKING:
            try:
                if is_away:  # it may have changed the mode, and its answer was lost
                    walk.begin()
                is_away = False
                if walk.report.status == WALKING:
                    walk.look()
                is_unread = False
            except CaptureAwayError as error:
                if not is_unread:
                    write_result(
                        f"{error} The walk resumes once they can be; no step is taken until then."
                    )
                is_unread = True
            except GatewayAwayError as error:
                if not is_away:
                    write_result(f"{error} The walk resumes once it answers.")
                is_away = True
            if walk.report.status == WALKING:
                time.sleep(every_seconds)
    except KeyboardInterrupt:
        write_result(
            f"Stopped; the canary stays at {walk.report.percent:g} %. Run the same command to "
            "resume, or with --back to go back."
        )


def add_watch_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `watch`."""
    parser.add_argument(
        "--once",
        action="store_true",
        help="check once and exit, with status 4 at an alarm; for cron (default: check every "
        "serving.watch.every_hours)",
    )
    parser.add_argument("--port", type=int, help="port of the gateway (default: the preset's)")


def watch(arguments: argparse.Namespace, load: LoadPresets) -> None:
    """Look at the service and the model, once or until interrupted.

    Raises:
        UserError: The budget is spent, no gateway answers, or a service fails.
        SystemExit: With status 4 at an alarm, with `--once`.
    """
    from service_llm.client import open_service_llm
    from serving.cutover.scoring import open_scorer
    from serving.cutover.watch import Watch, look_on

    with load([arguments.preset], arguments.overrides) as [preset]:
        settings, judging = preset.settings, preset.judging
        assert settings.service is not None
        assert judging is not None
        file = preset.output_dir / artifact_files.WATCH
        known = WatchReport.read(str(file)) if file.is_file() else None
        with (
            open_scorer(preset, "watch") as scorer,
            open_service_llm(
                settings.service, journal_uri=judging.journal_uri, component="watched", round=0
            ) as service,
        ):
            watching = Watch(
                preset,
                service=service,
                scorer=scorer,
                gateway=RunningGateway.of(settings, arguments.port),
                report=known or WatchReport(task=preset.task.name),
                keep=functools.partial(_keep_looks, preset),
            )

            def look() -> None:
                watching.look()
                _show_look(preset, watching.report)

            if arguments.once:
                look()
                sys.exit(EXIT_BAD_RESULT if watching.report.looks[-1].alarms else 0)
            with contextlib.suppress(KeyboardInterrupt):
                look_on(look, settings.watch.every_hours * 3600, say=write_result)


def _keep_looks(preset: ServedPreset, report: WatchReport) -> None:
    """Write the report and, where there is a look, its page."""
    from judging.control_chart import limits
    from reports.watch_page.page import render_watch
    from serving.cutover.watch_alarms import model_counts, service_counts

    replace_file(preset.output_dir / artifact_files.WATCH, report.to_json())
    if report.looks:
        service, model = limits(service_counts(report.looks)), limits(model_counts(report.looks))
        page = render_watch(report, service, model)
        replace_file(preset.output_dir / artifact_files.WATCH_PAGE, page)


def _show_look(preset: ServedPreset, report: WatchReport) -> None:
    """Say what the newest look saw."""
    page = preset.output_dir / artifact_files.WATCH_PAGE
    look = report.looks[-1]
    unsent = " No gateway answers: the alarm is raised at the next check." if report.unsent else ""
    unknown = " What it cost is unknown and counts in no budget: set the price of the service LLM."
    write_result(
        f"{look.time}: the service covers {look.service.covered} of {look.service.total} "
        f"({', '.join(look.service_versions) or 'unknown'}), the model {look.model.covered} of "
        f"{look.model.total}. {'; '.join(look.alarms) or 'No drift'}. {page}"
        f"{'' if look.cost_usd is not None else unknown}{unsent}"
    )


def _refresh_run_page(preset: ServedPreset) -> None:
    """Draw the curve into the report of the run, where there is one."""
    from core.reports.loop import LoopSummary
    from reports.charts import can_draw
    from reports.run_page.page import write_results

    summary_file = preset.output_dir / artifact_files.SUMMARY
    if summary_file.is_file() and not can_draw():
        write_result(
            "The curve is not in the report: it would lose its charts, as vl-convert-python is not "
            "installed. Run: pip install '.[serve,charts]'"
        )
    elif summary_file.is_file():
        write_results(
            LoopSummary.read(str(summary_file)).at(str(preset.output_dir)),
            summary_file=summary_file,
            report_file=preset.output_dir / artifact_files.RUN_PAGE,
        )
