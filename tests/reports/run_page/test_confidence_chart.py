"""The page of a run shows the curve of confidence where it was measured."""

from core import artifact_files
from core.reports.confidence import ConfidenceReport
from judging.confidence import Graded, choose, curve
from reports.run_page.confidence_chart import make_confidence_chart
from reports.run_page.page import render_run, write_results


def measured(size: int) -> ConfidenceReport:
    answers = [Graded(-0.001 * n, n < 0.8 * size) for n in range(size)]
    choice = choose(answers, 90)
    return ConfidenceReport(
        task="support_triage",
        model_version="support_triage/round-2@abc",
        slots=4,
        scorer="judge",
        wanted_percent=90,
        chosen=choice.kept,
        reason=choice.reason,
        curve=curve(answers),
        rows={},
    )


def test_the_curve_is_drawn_and_described(summary, verdict_rows):
    report = measured(200)
    page = render_run(summary, verdict_rows, report)
    assert report.reason in page
    assert "with 4 slots (support_triage/round-2@abc)" in page
    assert '<polygon class="band"' in page
    assert 'id="confidence"' not in render_run(summary, verdict_rows)


def test_the_chart_ends_with_all_answers_however_many_there_are():
    chart = make_confidence_chart(measured(1000))
    assert len(chart.line) <= 201
    assert chart.line[-1][0] == 544  # all kept, at the right edge
    assert make_confidence_chart(None) is None


def test_the_page_is_written_again_with_what_was_measured(summary, tmp_path):
    files = {"summary_file": tmp_path / "summary.json", "report_file": tmp_path / "report.html"}
    write_results(summary, **files)
    assert 'id="confidence"' not in files["report_file"].read_text()
    file = tmp_path / artifact_files.CONFIDENCE
    file.parent.mkdir()
    file.write_text(measured(50).to_json())
    write_results(summary, **files)
    assert 'id="confidence"' in files["report_file"].read_text()
