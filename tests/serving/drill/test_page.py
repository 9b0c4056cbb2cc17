"""The drill's page: read at any width, light and dark."""

from types import SimpleNamespace

import pytest

from serving.drill.faults import FAULTS
from serving.drill.page import PAGE_FILE, write_report
from serving.drill.record import AnsweredBy, Cell, Coverage, DrillReport, Rate
from task.task import Task


@pytest.fixture
def page(tmp_path):
    """The page of a drill in which requests were lost."""
    cells = tuple(
        Cell(
            fault=fault, protocol="gemini", stream=True, requests=12, lost=number % 2,
            half_answers=0, seconds_to_switch=1.5, seconds_to_return=None,
        )
        for number, fault in enumerate(FAULTS)
    )  # fmt: skip
    report = DrillReport(
        requests=120,
        answered_by=AnsweredBy(service=60, model=53),
        lost=7,
        half_answers=0,
        not_of_task=0,
        cells=cells,
        coverage=Coverage(
            service=Rate(rate=73.3, low=65.7, high=79.8), model=Rate(rate=70, low=60, high=78)
        ),
        sustained_requests_per_second=3.5,
        peak_requests_per_second=5,
    )
    task = Task(name="triage", instruction="Sort.")
    write_report(report, SimpleNamespace(output_dir=tmp_path, task=task), ["timed out " * 20])
    return tmp_path / PAGE_FILE


def test_axe_finds_nothing(browser, page):
    assert browser.audit(page.as_uri()) == []
    assert browser.complaints() == []
