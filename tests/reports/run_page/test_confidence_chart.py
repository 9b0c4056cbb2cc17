"""The page of a run shows the curve of confidence where it was measured."""

from core import artifact_files
from core.reports.confidence import ConfidenceReport
from judging.confidence import Graded, choose, curve
from reports.charts import WIDTHS, svg
from reports.run_page.confidence_chart import confidence_spec, draw_confidence
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
    assert "Coverage by the share of answers that is kept. " in page
    assert 'id="confidence"' not in render_run(summary, verdict_rows)


def test_the_chart_ends_with_all_answers_however_many_there_are():
    report = measured(1000)
    rows = confidence_spec(report, WIDTHS["wide"])["data"]["values"]
    assert len(rows) <= 201
    last = report.curve[-1].right
    assert rows[-1] == {
        "kept": 100, "kind": "share", "rate": last.rate_percent, "low": last.low_percent,
        "high": last.high_percent,
    }  # fmt: skip
    assert draw_confidence(None) is None


def test_the_chosen_threshold_is_marked_and_where_none_is_nothing_is():
    report = measured(200)
    specs = [report, report.model_copy(update={"chosen": None})]
    chosen, none = (confidence_spec(made, WIDTHS["narrow"])["layer"] for made in specs)
    (point,) = (
        layer for layer in chosen if layer["mark"] != "line" and layer["mark"]["type"] == "point"
    )
    assert point["data"]["values"][0]["kept"] == report.chosen.kept_percent
    assert len(none) == len(chosen) - 2
    assert "% kept" in svg(confidence_spec(report, WIDTHS["narrow"]))


def test_the_page_is_written_again_with_what_was_measured(summary, tmp_path):
    files = {"summary_file": tmp_path / "summary.json", "report_file": tmp_path / "report.html"}
    write_results(summary, **files)
    assert 'id="confidence"' not in files["report_file"].read_text()
    file = tmp_path / artifact_files.CONFIDENCE
    file.parent.mkdir()
    file.write_text(measured(50).to_json())
    write_results(summary, **files)
    assert 'id="confidence"' in files["report_file"].read_text()


def test_a_report_does_not_lose_its_charts_where_none_can_be_drawn(
    summary, tmp_path, monkeypatch, capsys
):
    from types import SimpleNamespace

    from serving.cutover import commands

    files = {"summary_file": tmp_path / "summary.json", "report_file": tmp_path / "report.html"}
    write_results(summary, **files)
    before = files["report_file"].read_text()
    monkeypatch.setattr("reports.charts.can_draw", lambda: False)
    commands._refresh_run_page(SimpleNamespace(output_dir=tmp_path))
    assert files["report_file"].read_text() == before
    assert "vl-convert-python is not installed" in capsys.readouterr().out
