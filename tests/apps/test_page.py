"""What the application shows of an evaluation, without a model."""

import ast
import dataclasses
import json
from pathlib import Path

import pytest

from tests.apps.conftest import REPORT, VERDICTS


def test_the_first_sample_of_the_tuned_model_is_shown_with_the_base_response(evaluation):
    assert [row.id for row in evaluation.rows] == ["c-1", "c-2", "c-3"]
    assert evaluation.rows[0].response == '{"category": "defect", "priority": "high"}'
    assert evaluation.base_responses["c-1"] == "<script>alert(1)</script>"


def test_the_reader_has_the_names_and_values_of_the_files(evaluation):
    """The Space ships alone: its classes are held here against the records it reads."""
    tuned, base = REPORT.models["tuned"], REPORT.models["base"]
    for name, rate in dict(tuned).items():
        if name != "tags":
            assert_same(evaluation.tuned[name], rate)
    for name, rate in tuned.tags.items():
        assert_same(evaluation.tuned_tags[name], rate)
    assert_same(evaluation.base["holdout"], base.holdout)
    assert_same(evaluation.gate, REPORT.gate)
    assert list(evaluation.tuned_tags) == list(tuned.tags)
    assert (evaluation.round, evaluation.stand_in) == (REPORT.round, REPORT.stand_in)
    assert evaluation.judge == REPORT.judge.model
    rows = [row for row in VERDICTS if row.model == "tuned" and row.sample == 0]
    for read, written in zip(evaluation.rows, rows, strict=True):
        assert_same(read, written)


def assert_same(read, written):
    names = [field.name for field in dataclasses.fields(read)]
    assert names
    for name in names:
        value = getattr(written, name)
        assert getattr(read, name) == (list(value) if isinstance(value, tuple) else value), name


def test_a_report_of_the_first_version_is_read():
    from evaluation import read_evaluation

    folder = Path(__file__).resolve().parents[1] / "core" / "earlier"
    found = read_evaluation([folder])
    assert (found.round, found.gate.split, found.judge) == (2, "holdout", "stand-in-1")
    assert [row.id for row in found.rows] == ["1", "2", "0"]


def test_a_folder_without_a_report_is_no_evaluation(tmp_path, evaluation_dir):
    from evaluation import read_evaluation

    assert read_evaluation([tmp_path]) is None
    assert read_evaluation([tmp_path, evaluation_dir]).round == 2


def test_texts_of_models_and_people_are_escaped(evaluation):
    import page

    base = evaluation.base_responses["c-1"]
    shown = page.table(evaluation, "all") + page.comparison(evaluation.rows[0], None, base)
    shown += page.comparison(evaluation.rows[1]) + page.header("<i>t</i>", "<i>m</i>", evaluation)
    for raw in ("<script>", "<img", "<b>differs", "<i>t", "<i>m"):
        assert raw not in shown
    assert "&lt;script&gt;" in shown


def test_the_figures_tell_rate_interval_base_and_gate(evaluation):
    import page

    shown = page.figures(evaluation)
    for text in (
        "50.0<small> %",
        "(1 of 2)",
        "gate of 70 % missed",
        "50.0 % (10 to 90), base 0.0 %",
        "judged by stand-in-1",
        "By tag (1)",
    ):
        assert text in shown


def test_a_tag_that_is_called_like_a_split_has_its_own_rate(evaluation_dir):
    import page
    from evaluation import read_evaluation

    file = evaluation_dir / "coverage_report.json"
    report = json.loads(file.read_text())
    tagged = {"covered": 7, "total": 8, "rate_percent": 87.5, "low_percent": 52.9}
    report["models"]["tuned"]["tags"]["holdout"] = tagged | {"high_percent": 97.8}
    file.write_text(json.dumps(report))
    found = read_evaluation([evaluation_dir])
    assert found.tuned["holdout"].rate_percent == 50.0
    assert found.tuned_tags["holdout"].rate_percent == 87.5
    shown = page.figures(found)
    assert "50.0<small> %" in shown
    assert "(1 of 2)" in shown
    by_tag = shown.partition("By tag (2)")[2]
    assert "87.5 %" in by_tag


def test_a_stand_in_is_named_as_one_and_a_real_judge_is_not(evaluation):
    import page

    assert "stand-in" in page.header("t", "m", evaluation)
    real = dataclasses.replace(evaluation, stand_in=False)
    assert "stand-in" not in page.header("t", "m", real)


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        ("all", ["c-1", "c-2", "c-3"]),
        ("covered", ["c-1"]),
        ("missed", ["c-2"]),
        ("unscored", ["c-3"]),
    ],
    ids=str,
)
def test_prompts_are_filtered_by_verdict(evaluation, wanted, ids):
    import page

    shown = page.table(evaluation, wanted)
    assert [i for i in ("c-1", "c-2", "c-3") if f"· {i}<" in shown] == ids


def test_only_what_differs_from_the_reference_is_marked(evaluation):
    import page

    assert page.comparison(evaluation.rows[1]).count("<mark>") == 1
    assert "<mark> &quot;priority&quot;: &quot;low&quot;</mark>" in page.table(evaluation, "missed")
    assert "<mark>" not in page.table(evaluation, "covered")


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ((True, "", 3), "is ready"),
        ((False, "", 3), r"loading (3 s)"),
        ((False, "no <model>", 3), "No model. no &lt;model&gt;"),
    ],
    ids=["ready", "loading", "missing"],
)
def test_the_status_says_how_the_model_is(state, text):
    import page

    assert text in page.status(*state)


def test_the_application_imports_nothing_of_the_repository(space_modules):
    repository = {p.name for p in space_modules.parents[1].iterdir() if p.is_dir()}
    for path in space_modules.glob("*.py"):
        tree = ast.parse(path.read_text())
        names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        names |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert not repository & {name.split(".")[0] for name in names}, path


def test_the_space_is_pinned_to_the_versions_of_the_lock(space_modules):
    lock = (space_modules.parents[1] / "requirements" / "tfx-1.21.txt").read_text()
    readme = (space_modules / "README.md").read_text()
    wanted = [f"gradio=={readme.split('sdk_version: ')[1].split()[0]}"]
    for line in (space_modules / "requirements.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            wanted.append(line)
    for requirement in wanted:
        assert f"\n{requirement} " in lock, requirement
