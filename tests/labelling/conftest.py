"""An evaluation of the demonstration's rows, and its labelling page on a real port."""

import contextlib
import dataclasses
import socket
import threading
import time

import pytest
import uvicorn

from core.records import Vote
from core.reports.coverage import CoverageReport
from core.usage import Usage
from judging.report import describe_judge, make_findings
from judging.settings import EvaluatorSettings
from labelling.app import make_app
from labelling.candidates import CandidateQueue
from labelling.label_queue import LabelQueue
from labelling.references import ReferenceQueue
from labelling.run import LabelledRun
from tests.evaluation import coverage_rows, verdict

ROWS = 12
SUSPECT_IDS = ("t006", "t007")


def make_verdicts():
    """Rows of two models: judge and strict scorer disagree on two, two references are suspect."""
    found = []
    for number, row in enumerate(coverage_rows(ROWS)):
        wrong = row.output.replace('"normal"', '"urgent"').replace('"low"', '"urgent"')
        tuned = verdict(row, "tuned", covered=number % 4 != 3)
        if number in {0, 5}:  # the judge forgives a wrong priority
            tuned = verdict(row, "tuned", covered=True, response=wrong)
        if row.id in SUSPECT_IDS:
            tuned = dataclasses.replace(
                tuned,
                response=row.output.replace('"category": "', '"category": "really_'),
                covered=False,
                votes=tuple(Vote(2, 5, 2, "The reference is wrong.", place) for place in "ab"),
            )
        found += [tuned, verdict(row, "base", covered=False)]
    return [dataclasses.replace(row, split="holdout") for row in found]


@pytest.fixture
def verdict_rows():
    return make_verdicts()


@pytest.fixture
def make_run(tmp_path, verdict_rows):
    def make(rows=None, **changes):
        rows = verdict_rows if rows is None else rows
        settings = EvaluatorSettings()
        by_model = {
            model: [row for row in rows if row.model == model] for model in ("tuned", "base")
        }
        judge = describe_judge("p", "m", settings)
        findings = make_findings(by_model, settings, judge=judge, kind="json")
        report = CoverageReport(
            **dict(findings), task="triage", round=1, usage=Usage(), stand_in=False
        )
        folder = tmp_path / "labels"
        folder.mkdir(exist_ok=True)
        coverage = tmp_path / "coverage"
        coverage.mkdir(exist_ok=True)
        lines = "".join(f"{row.to_json()}\n" for row in coverage_rows(ROWS))
        (coverage / "tickets.jsonl").write_text(lines, encoding="utf-8")
        values = {
            "report": report,
            "verdicts": tuple(rows),
            "folder": folder,
            "coverage_dir": coverage,
            "model": "tuned",
            "split": "holdout",
            "count": 8,
        }
        return LabelledRun(**(values | changes))

    return make


@contextlib.contextmanager
def serving(run):
    """The page on a free port of this machine; its base URL."""
    app = make_app("Support triage", LabelQueue(run), ReferenceQueue(run), CandidateQueue(run))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, log_level="error", lifespan="off", ws="none")
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture
def serve():
    with contextlib.ExitStack() as stack:
        yield lambda run: stack.enter_context(serving(run))
