"""Strict beside lenient on the evaluation page."""

import dataclasses

import pytest

from core.reports.coverage import Agreement, Calibration, CoverageReport
from core.reports.rates import BySplit, RateEstimate
from core.usage import Usage
from judging.last_look import make_last_look
from judging.report import describe_judge, make_findings
from judging.settings import EvaluatorSettings
from judging.strict import strict_kind
from reports.evaluation_page.page import render_evaluation
from tests.evaluation import coverage_rows, verdict
from tests.html_page import Page, embedded_rows, plain, rate_text


@pytest.fixture
def report_of():
    def make(rows):
        settings = EvaluatorSettings()
        described = describe_judge("p", "m", settings)
        kind = strict_kind([row.output for row in rows])
        findings = make_findings({"tuned": rows}, settings, judge=described, kind=kind)
        return CoverageReport(
            **dict(findings), task="triage", round=1, usage=Usage(), stand_in=False
        )

    return make


@pytest.fixture
def lenient():
    """Twenty holdout answers that the judge accepts; the first five have the wrong priority."""
    rows = [dataclasses.replace(row, split="holdout") for row in coverage_rows(20)]
    return [
        verdict(
            row,
            "tuned",
            covered=True,
            response=row.output.replace('"priority": "', '"priority": "not ')
            if number < 5
            else row.output,
        )
        for number, row in enumerate(rows)
    ]


def test_a_judge_that_forgives_is_warned_of_with_links_to_the_answers(report_of, lenient):
    text = render_evaluation(report_of(lenient), lenient)
    page = Page(text)
    assert "+25.0 points from the strict one" in plain(text)
    ids = {row["id"] for row in embedded_rows(text)}
    links = [a["href"] for a in page.all("a") if a["href"][1:] in ids]
    wanted = [f"#{row.id}" for row in lenient[:5]]
    assert links[:5] == wanted
    assert set(links) == set(wanted)


def test_each_field_is_shown_with_its_confusions(report_of, lenient):
    report = report_of(lenient)
    page = Page(render_evaluation(report, lenient))
    (row,) = (row for row in page.rows if row and row[0] == "priority")
    field = report.strict["tuned"].holdout.fields["priority"]
    assert row[1] == rate_text(field.accuracy)
    wrong = [cell for cell in field.confusion if not cell.is_right]
    assert wrong
    assert f"{wrong[0].rate.covered} x {wrong[0].reference} answered {wrong[0].answered}" in row[3]


def test_clusters_of_failures_are_linked_to_their_rows(report_of, lenient):
    report = report_of(lenient)
    assert report.failures
    text = render_evaluation(report, lenient)
    section = text.split("Clusters of failures")[1].split("</ul>")[0]
    for cluster in report.failures:
        assert cluster.field == "priority"
        for row_id in cluster.ids:
            assert f'<a href="#{row_id}">{row_id}</a>' in section


def test_the_headline_figures_show_the_strict_rate_next_to_the_judges(report_of, lenient):
    text = render_evaluation(report_of(lenient), lenient)
    figures = plain(text).split('class="figures"')[1].split("</ul>")[0]
    assert figures.index("<b>100.0 %</b> covered") < figures.index("<b>75.0 %</b> strict")


def test_a_judge_as_strict_as_the_scorer_is_no_warning(report_of, lenient):
    rows = [
        row if number >= 5 else dataclasses.replace(row, covered=False)
        for number, row in enumerate(lenient)
    ]
    assert "points from the strict one" not in render_evaluation(report_of(rows), rows)


def test_free_text_has_no_strict_rate_and_the_page_says_so(report_of, lenient):
    rows = [dataclasses.replace(row, output=f"Dear {row.id}") for row in lenient]
    text = render_evaluation(report_of(rows), rows)
    assert "there is no strict rate" in text
    assert "strict: equal" not in text


def test_advice_is_shown_where_a_rate_is_low(report_of, lenient):
    cut = [dataclasses.replace(row, finish="length", covered=False) for row in lenient]
    text = render_evaluation(report_of(cut), cut)
    assert "20 of 20 answers were cut off: raise generation.max_output_tokens." in text
    assert "cut off: raise" not in render_evaluation(report_of(lenient), lenient)


def _looked(report, rows, kind="json"):
    """The report with a last look at those rows."""
    look = make_last_look({"tuned": rows}, EvaluatorSettings(), looks=2, kind=kind)
    return report.model_copy(update={"last_look": look})


@pytest.fixture
def sealed(lenient):
    """The same answers to sealed prompts, of which half have the wrong priority."""
    wrong = lenient[0].response
    return [
        dataclasses.replace(row, id=f"s{n}", split="test", response=wrong if n < 10 else row.output)
        for n, row in enumerate(lenient)
    ]


def test_fields_and_a_lenient_judge_are_shown_for_the_test_split_too(report_of, lenient, sealed):
    report = _looked(report_of(lenient), sealed)
    text = render_evaluation(report, [*lenient, *sealed])
    found = report.last_look.strict["tuned"]
    assert f"On test the judge's rate is {found.judge.points:+.1f} points" in plain(text)
    page = Page(text)
    rows = [row for row in page.rows if row and row[0] == "priority"]
    assert [row[1] for row in rows] == [
        rate_text(found.fields["priority"].accuracy),
        rate_text(report.strict["tuned"].holdout.fields["priority"].accuracy),
    ]
    assert {row.id for row in sealed} <= {row["id"] for row in embedded_rows(text)}
    assert 'href="#s0"' in text


def test_labels_of_the_test_split_have_their_f1(report_of, lenient):
    rows = [
        dataclasses.replace(row, output=label, response=label)
        for row, label in zip(lenient, ["refund", "other"] * 10, strict=True)
    ]
    sealed = [dataclasses.replace(row, split="test", response="other") for row in rows]
    text = render_evaluation(_looked(report_of(rows), sealed, "labels"), rows)
    part = text.split("Tuned model on test, label by label")[1].split("</table>")[0]
    assert "<b>66.7 %</b>" in plain(part)


def test_rates_that_people_correct_are_shown_for_the_test_split(report_of, lenient, sealed):
    report = _looked(report_of(lenient), sealed)
    rate = RateEstimate(rate_percent=71.5, low_percent=60.1, high_percent=80.2)
    look = report.last_look.model_copy(
        update={"corrected": {"tuned": rate}, "prediction_powered": {"tuned": rate}}
    )
    calibration = Calibration(
        labels=90,
        unsure=10,
        agreement=Agreement(
            rows=90,
            both=60,
            neither=20,
            only_first=5,
            only_second=5,
            agree_percent=88.9,
            kappa=0.7,
            kappa_low=0.5,
            kappa_high=0.9,
        ),
        sensitivity_percent=92.3,
        specificity_percent=80.0,
        corrected={"tuned": BySplit(overall=None, seed=None, holdout=None)},
    )
    report = report.model_copy(update={"last_look": look, "calibration": calibration})
    text = render_evaluation(report, lenient)
    page = Page(text)
    assert [row[1] for row in page.rows if row[:1] == ["Tuned model"] and "71.5" in row[1]] == [
        "71.5 % 60.1 % to 80.2 %",
        "71.5 % 60.1 % to 80.2 %",
    ]
    assert "They left 10 more open (10.0 % of those they were asked about)" in plain(text)
    assert "on test by people's labels" in text
