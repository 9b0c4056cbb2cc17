import dataclasses

import pytest

from core.errors import UserError
from core.reports.loop import RoundArtifacts
from judging.last_look import make_last_look
from judging.settings import EvaluatorSettings
from pipeline.cli.main import main
from pipeline.compare import compare_text, differing_settings
from tests.evaluation import coverage_rows, verdict
from tests.records import loop_summary

ROWS = [dataclasses.replace(row, split="holdout") for row in coverage_rows(20)]


@pytest.fixture
def run_folder(tmp_path):
    """The output folder of a run whose kept round covers the first prompts, and no others."""

    def make(name, covered, rows=ROWS, as_run=None, sealed=None, **config):
        root = tmp_path / name
        report = root / "report"
        report.mkdir(parents=True)
        verdicts = [
            verdict(row, model, covered=number < covered)
            for model in ("tuned", "base")
            for number, row in enumerate(rows)
        ]
        lines = "".join(f"{row.to_json()}\n" for row in verdicts)
        (report / "verdicts.jsonl").write_text(lines, encoding="utf-8")
        artifacts = RoundArtifacts(
            synthetic="", model="", report=f"{as_run or root}/report", exports="", pushed=""
        )
        config = {"output_dir": as_run or str(root), "training": {"epochs": 3}} | config
        summary = loop_summary([artifacts], 1, config=config)
        if sealed is not None:
            summary = _looked(summary, report, sealed)
        (root / "summary.json").write_text(summary.to_json(), encoding="utf-8")
        return root

    return make


def _looked(summary, report, covered):
    """The same run, which judged the prompts once more as its test split, under other ids."""
    found = [
        verdict(dataclasses.replace(row, id=f"s-{row.id}", split="test"), "tuned", n < covered)
        for n, row in enumerate(ROWS)
    ]
    lines = "".join(f"{row.to_json()}\n" for row in found)
    (report / "test_verdicts.jsonl").write_text(lines, encoding="utf-8")
    look = make_last_look({"tuned": found}, EvaluatorSettings(), looks=1, kind="json")
    (entry,) = summary.rounds
    entry = entry.model_copy(update={"report": entry.report.model_copy(update={"last_look": look})})
    return summary.model_copy(update={"rounds": (entry,)})


def test_settings_that_differ_are_named_and_no_others(run_folder):
    text = compare_text(
        run_folder("a", 10, training={"epochs": 3, "rank": 8}),
        run_folder("b", 10, training={"epochs": 5, "rank": 8}),
    )
    assert "training.epochs: 3 -> 5" in text
    assert "rank" not in text
    assert "output_dir" not in text


def test_a_setting_of_one_run_alone_is_a_difference():
    assert differing_settings({"a": {"b": 1}}, {"a": {}}) == {
        "a.b": ("1", "(not set)"),
        "a": ("(not set)", "{}"),
    }


def test_rates_are_compared_on_the_same_prompts(run_folder):
    text = compare_text(run_folder("a", 8), run_folder("b", 18))
    assert "holdout: 40.0 %" in text
    assert "-> 90.0 %" in text
    assert "+50.0 points; prompts gained 10, lost 0 (p = 0.002)" in text
    assert "seed" not in text, "no prompt of that split"
    assert "No setting differs." in text


@pytest.mark.parametrize("as_run", ["output", "./output", "/elsewhere/output"])
def test_each_run_is_read_from_the_folder_that_was_given(run_folder, as_run, monkeypatch, tmp_path):
    run_folder("output", 20)
    monkeypatch.chdir(tmp_path)
    moved = run_folder("A", 8, as_run=as_run)
    assert "holdout: 40.0 %" in compare_text(moved, tmp_path / "output")


def test_strict_rates_and_fields_are_compared_too(run_folder):
    text = compare_text(run_folder("a", 8), run_folder("b", 18))
    strict = text.split("Strict rates")[1]
    assert "category: 40.0 %" in strict
    assert "priority: 100.0 %" in strict


def test_the_test_split_comes_first_and_is_no_part_of_overall(run_folder):
    text = compare_text(run_folder("a", 8, sealed=4), run_folder("b", 18, sealed=16))
    judged, strict = text.split("Strict rates")
    for part in (judged, strict):
        assert part.index("  test: 20.0 %") < part.index("  overall: 40.0 %")
    assert "-> 80.0 %" in judged
    assert "prompts gained 12, lost 0" in judged


def test_a_difference_of_no_more_than_chance_says_so(run_folder):
    text = compare_text(run_folder("a", 10), run_folder("b", 11))
    assert "which may be chance" in text


def test_prompts_of_one_run_alone_and_other_references_are_told(run_folder):
    changed = [dataclasses.replace(ROWS[0], output='{"category": "x"}'), *ROWS[1:15]]
    text = compare_text(run_folder("a", 10), run_folder("b", 10, rows=changed))
    assert "Prompts that only one run judged: 5 in A, 0 in B." in text
    assert f"The references of 1 prompts differ: {ROWS[0].id}." in text
    assert "on the same 15 prompts" in text


def test_a_folder_without_a_run_is_named(run_folder, tmp_path, capsys):
    with pytest.raises(UserError, match="no finished round"):
        compare_text(run_folder("a", 10), tmp_path)
    assert main(["compare", str(tmp_path), str(tmp_path)]) == 2
    assert "summary.json" in capsys.readouterr().err
