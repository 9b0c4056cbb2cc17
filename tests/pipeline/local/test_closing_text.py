"""What a run prints at its end."""

from core.reports.last_look import LastLook
from pipeline.config import load_config
from pipeline.local.output_dir import OutputPaths
from pipeline.local.run import closing_text
from pipeline.rounds import LoopResult, RoundResult
from tests.records import coverage_report, rate, rates


def test_a_run_ends_with_the_rate_that_page_and_card_lead_with(tmp_path):
    same = rate(15, 20, 53.1, 88.8)
    look = LastLook(
        holdout_looks=1,
        models={"tuned": rate(12, 20, 38.7, 78.1)},
        threshold_percent=70.0,
        reached=False,
    )
    config = load_config("smoke", [f"output_dir={tmp_path}"], environ={})
    result = RoundResult(
        round=1,
        run_id="run-1",
        coverage_rate=75.0,
        blessed=False,
        synthetic_uri="",
        report_uri=str(tmp_path),
        model_uri="model",
        exports_uri="",
        pushed_uri="",
        cost_usd=None,
    )

    def said(**changes):
        report = coverage_report({"tuned": rates(same, same, same)}, **changes)
        (tmp_path / "coverage_report.json").write_text(report.to_json(), encoding="utf-8")
        text = closing_text(LoopResult((result,), None), OutputPaths(tmp_path), config)
        return " ".join(text.split())

    assert "it covers 60.0 % of the test prompts" in said(last_look=look)
    assert "prompts that no round of this run had looked at (95 % interval" in said(
        last_look=look
    ).replace("\u00a0", " ")
    assert "test prompts" not in said()
    assert "0 % is expected: random:gemma3-tiny has random weights." in said()
