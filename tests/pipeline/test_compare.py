import dataclasses

import pytest

from core.errors import UserError
from core.reports.loop import RoundArtifacts
from pipeline.cli.main import main
from pipeline.compare import compare_text, differing_settings
from tests.evaluation import coverage_rows, verdict
from tests.records import loop_summary

ROWS = [dataclasses.replace(row, split="holdout") for row in coverage_rows(20)]


@pytest.fixture
def run_folder(tmp_path):
    """The output folder of a run whose kept round covers the first prompts, and no others."""

    def make(name, covered, rows=ROWS, **config):
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
            synthetic="", model="", report=str(report), exports="", pushed=""
        )
        config = {"output_dir": str(root), "training": {"epochs": 3}} | config
        summary = loop_summary([artifacts], 1, config=config)
        (root / "summary.json").write_text(summary.to_json(), encoding="utf-8")
        return root

    return make


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


def test_strict_rates_and_fields_are_compared_too(run_folder):
    text = compare_text(run_folder("a", 8), run_folder("b", 18))
    strict = text.split("Strict rates")[1]
    assert "category: 40.0 %" in strict
    assert "priority: 100.0 %" in strict


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
