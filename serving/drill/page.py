"""What a drill found, for people: lines while it goes on, a page, and `drill.json`."""

from collections.abc import Sequence
from pathlib import Path

from core.terminal import wrapped, write_result
from core.text import about_minutes
from reports.theme import render_page
from serving.drill.faults import ADDRESS_ONLY, FAULTS
from serving.drill.record import Cell, DrillReport, Rate
from serving.preset import ServedPreset

REPORT_FILE = "drill.json"
PAGE_FILE = "drill.html"
_TEMPLATE = Path(__file__).parent / "templates" / "drill.html.j2"
_SHOWN_ERRORS = 10


def say_plan(cells: int, faults: int, seconds: float, *, with_cold_model: bool) -> None:
    """Print what is about to happen, and how long it takes.

    Args:
        cells: How many there are.
        faults: Of so many faults.
        seconds: What all of them are likely to take.
        with_cold_model: Whether each is also tried with a model that was just started.
    """
    models = ", with a warm model and with one that was just started" if with_cold_model else ""
    text = (
        f"{cells} cells follow: {'1 fault' if faults == 1 else f'{faults} faults, each'} tried "
        f"with every kind of client{models}; {about_minutes(seconds)} on an idle machine."
    )
    write_result(wrapped(text))


def say(cell: Cell) -> None:
    """Print a cell, in two lines that fit a terminal."""
    how = f"{cell.protocol} {'stream' if cell.stream else 'whole'}"
    verdict = f"{cell.lost} LOST" if cell.lost else "none lost"
    write_result(
        f"{cell.fault:>4} {FAULTS[cell.fault]}: {how}\n"
        f"     {cell.requests} requests, {verdict}; {_switch(cell)}, {_return(cell)}"
    )


def _switch(cell: Cell) -> str:
    seconds = cell.seconds_to_switch
    return "the model did not answer" if seconds is None else f"model after {seconds:.1f} s"


def _return(cell: Cell) -> str:
    if cell.fault in ADDRESS_ONLY:
        return "the address stays wrong"
    seconds = cell.seconds_to_return
    return "return not seen" if seconds is None else f"service back after {seconds:.1f} s"


def write_report(report: DrillReport, preset: ServedPreset, errors: Sequence[str]) -> None:
    """Write the page and `drill.json`, and print the summary.

    Args:
        report: The drill.
        preset: What was rehearsed; its output folder takes the files.
        errors: What the clients said of lost requests.
    """
    folder = preset.output_dir
    text = report.model_dump_json(indent=2)
    (folder / REPORT_FILE).write_text(text + "\n", encoding="utf-8")
    page = render_page(
        _TEMPLATE,
        report=report,
        task=preset.task,
        faults=FAULTS,
        headline=_headline(report),
        errors=list(dict.fromkeys(errors))[:_SHOWN_ERRORS],
    )
    (folder / PAGE_FILE).write_text(page, encoding="utf-8")
    write_result("\n".join(_summary(report, folder, errors)))


def _headline(report: DrillReport) -> str:
    if not report.lost:
        return f"All {report.requests:,} requests were answered."
    return f"{report.lost:,} of {report.requests:,} requests were lost."


def _summary(report: DrillReport, folder: Path, errors: Sequence[str]) -> list[str]:
    by = report.answered_by
    lines = [
        _headline(report),
        f"By the service {by.service:,}, by the tuned model {by.model:,}; half answers "
        f"{report.half_answers:,}; not of the task {report.not_of_task:,}.",
        f"Coverage: service {_rate(report.coverage.service)}, tuned model "
        f"{_rate(report.coverage.model)}.",
        _capacity(report),
    ]
    lines += [f"lost: {error[:300]}" for error in list(dict.fromkeys(errors))[:_SHOWN_ERRORS]]
    return [*lines, f"See {folder / PAGE_FILE} and {folder / REPORT_FILE}."]


def _capacity(report: DrillReport) -> str:
    sustained, peak = report.sustained_requests_per_second, report.peak_requests_per_second
    text = f"The tuned model answers {sustained:g} requests a second here"
    if peak is None:
        return f"{text}; give your peak with --peak N."
    if sustained >= peak:
        return f"{text}, enough for the peak of {peak:g}."
    return f"{text}, TOO FEW for the peak of {peak:g}: set serving.model.url to a larger server."


def _rate(rate: Rate | None) -> str:
    return f"{rate.rate:g} % ({rate.low:g} to {rate.high:g})" if rate else "not measured"
