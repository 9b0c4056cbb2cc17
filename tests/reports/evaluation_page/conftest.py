"""The judging tests' service and builders, for the component around them."""

import dataclasses

import pytest

from core.reports.coverage import Agreement, CoverageReport
from core.reports.last_look import LastLook
from core.usage import Usage
from judging.calibration import JudgeErrors
from judging.report import Previous, describe_judge, make_findings
from judging.settings import EvaluatorSettings
from reports.evaluation_page.page import render_evaluation
from tests.evaluation import coverage_rows, verdicts_of
from tests.html_page import Page
from tests.judging.conftest import *  # noqa: F403
from tests.records import rate

_PARTS = ("holdout", "seed", "overall")


_SHARES = {"tuned": 0.85, "base": 0.05, "few_shot": 0.3, "service": 0.95}


_AGREEMENT = Agreement(
    rows=100,
    both=60,
    neither=28,
    only_first=4,
    only_second=8,
    agree_percent=88.0,
    kappa=0.71,
    kappa_low=0.57,
    kappa_high=0.85,
)


@pytest.fixture(scope="module")
def verdicts():
    return verdicts_of(coverage_rows(40), _SHARES, seed=2)


@pytest.fixture(scope="module")
def report_of():
    """Makes a report as the executor writes it."""

    def make(verdicts, *, earlier=None, calibration=None, **settings):
        made = EvaluatorSettings(**settings)
        judge = describe_judge("gemini", "stand-in-1", made)
        previous = Previous(1, judge, earlier) if earlier else None
        findings = make_findings(
            verdicts,
            made,
            judge=judge,
            kind="json",
            previous=previous,
            calibration=calibration,
        )
        return CoverageReport(
            **dict(findings),
            task="support_triage",
            round=2,
            usage=Usage(640, 1, 1, 0.0421),
            stand_in=True,
        )

    return make


@pytest.fixture(scope="module")
def evaluation(verdicts, report_of):
    """Report and verdict rows of a second round with human labels."""
    earlier = verdicts_of(coverage_rows(40), {"tuned": 0.5}, seed=1)["tuned"]
    errors = JudgeErrors(positives=64, found=60, negatives=36, rejected=28)
    report = report_of(verdicts, earlier=earlier, calibration=(errors, _AGREEMENT))
    return report, [row for rows in verdicts.values() for row in rows]


@pytest.fixture(scope="module")
def text(evaluation):
    return render_evaluation(*evaluation)


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


@pytest.fixture(scope="module")
def looked(evaluation, verdicts):
    """The evaluation after the last look, with the test split's rows."""
    report, rows = evaluation
    models = {"tuned": rate(3, 4, 30.1, 95.4), "service": rate(4, 4, 51.0, 100.0)}
    look = LastLook(holdout_looks=2, models=models, threshold_percent=70.0, reached=True)
    test = [
        dataclasses.replace(row, id=f"test-{row.id}", split="test", tags=("only-in-test",))
        for model in models
        for row in verdicts[model][:4]
    ]
    return report.model_copy(update={"last_look": look}), [*rows, *test]
