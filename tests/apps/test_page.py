"""What the application shows of an evaluation, without a model."""

import ast
import dataclasses
import json
import re
from pathlib import Path

import pytest

from core.reports.last_look import LastLook
from reports.wording import report_headline
from tests import records
from tests.apps.conftest import REPORT, VERDICTS

_REPOSITORY = Path(__file__).resolve().parents[2]


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


@pytest.mark.parametrize(
    "content", ['{"schema_version": 9}', '{"models": ', "[]"], ids=["later", "cut off", "a list"]
)
def test_an_evaluation_that_cannot_be_read_says_so(evaluation_dir, content):
    from evaluation import EvaluationError, read_evaluation

    (evaluation_dir / "coverage_report.json").write_text(content)
    with pytest.raises(EvaluationError, match=rf"{evaluation_dir} cannot be read by this app"):
        read_evaluation([evaluation_dir])


def test_texts_of_models_and_people_are_escaped(evaluation):
    import page

    shown = page.table(evaluation, "all")
    shown += "".join(page.comparison(evaluation, row) for row in evaluation.rows)
    shown += page.header("<i>t</i>", "<i>d</i>", "<i>m</i>", evaluation)
    for raw in ("<script>", "<img", "<b>differs", "<i>t", "<i>d", "<i>m", "<u>"):
        assert raw not in shown
    assert "&lt;script&gt;" in shown


def test_the_figures_tell_rate_interval_base_and_gate(evaluation):
    import page

    shown = page.figures(evaluation)
    for text in (
        "50.0<small>&nbsp;%",
        "(1 of 2)",
        "gate of 70.0&nbsp;% missed",
        "50.0&nbsp;% (9.5 to 90.5), base 0.0&nbsp;%",
        "judged by stand-in-1",
        "By tag (1)",
    ):
        assert text in shown


def test_the_rate_of_the_test_prompts_leads_as_on_the_card_and_in_the_report(evaluation_dir):
    import page
    from evaluation import read_evaluation

    look = LastLook(
        holdout_looks=1,
        models={"tuned": records.rate(152, 200, 69.6, 81.4)},
        threshold_percent=67.5,
        reached=True,
    )
    report = REPORT.model_copy(update={"last_look": look})
    (evaluation_dir / "coverage_report.json").write_text(report.to_json())
    found = read_evaluation([evaluation_dir])
    assert_same(found.last_look.rate, look.models["tuned"])
    shown = page.figures(found)
    headline, _, bars = shown.partition('<div class="bars">')
    assert "76.0<small>&nbsp;%" in headline
    assert "of the test prompts, judged once, are covered (152 of 200)" in headline
    assert 'class="gate passed">threshold of 67.5&nbsp;% passed' in headline
    names = re.findall('class="name">(.*?)</span>', bars)
    assert names[:3] == ["Test prompts, judged once", "Held-out prompts", "Seed prompts"]
    assert report_headline(report).replace("\u00a0", " ").endswith("76.0 % of the test prompts.")


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
    assert "50.0<small>&nbsp;%" in shown
    assert "(1 of 2)" in shown
    by_tag = shown.partition("By tag (2)")[2]
    assert "87.5&nbsp;%" in by_tag


def test_a_stand_in_is_named_as_one_and_a_real_judge_is_not(evaluation):
    import page

    assert "stand-in" in page.header("t", "", "m", evaluation)
    real = dataclasses.replace(evaluation, stand_in=False)
    assert "stand-in" not in page.header("t", "", "m", real)


def test_the_header_says_what_the_task_is(evaluation):
    import page

    assert "The task: You sort mails.</p>" in page.header("t", "You sort mails.", "m", None)
    assert "The task" not in page.header("t", "", "m", None)


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

    assert page.comparison(evaluation, evaluation.rows[1]).count("<mark>") == 1
    assert "<mark> &quot;priority&quot;: &quot;low&quot;</mark>" in page.table(evaluation, "missed")
    covered = page.table(evaluation, "covered").partition("Service LLM")[0]
    assert "<mark>" not in covered


def test_what_service_and_base_model_answered_stands_beside_the_reference(evaluation):
    import page

    shown = page.comparison(evaluation, evaluation.rows[0], "now")
    names = re.findall("<figcaption>(.*?)</figcaption>", shown)
    assert names == [
        "Reference", "This model, now", "This model, at the evaluation",
        "Service LLM, at the evaluation", "Base model, at the evaluation",
    ]  # fmt: skip
    assert "the service" in shown
    assert "Service LLM" not in page.comparison(evaluation, evaluation.rows[1])
    assert "the service" in page.table(evaluation, "covered")


@pytest.mark.parametrize(
    ("tag", "text", "ids"),
    [
        ("typos", "", ["c-1", "c-2", "c-3"]),
        ("angry", "", ["c-3"]),
        ("", "ONERROR", ["c-2"]),
        ("", "the service", ["c-1"]),
        ("angry", "onerror", []),
    ],
    ids=["tag", "other-tag", "text", "service", "both"],
)
def test_prompts_are_filtered_by_tag_and_text(evaluation, tag, text, ids):
    import page

    rows = [*evaluation.rows[:2], dataclasses.replace(evaluation.rows[2], tags=["typos", "angry"])]
    tagged = dataclasses.replace(evaluation, rows=rows)
    assert page.tags(tagged) == ["angry", "typos"]
    shown = page.table(tagged, "all", tag, f" {text} ")
    assert [i for i in ("c-1", "c-2", "c-3") if f"· {i}<" in shown] == ids
    assert (f"{len(ids)} of 3 prompts" in shown) == bool(ids)


def test_of_many_prompts_the_first_are_shown_and_counted(evaluation):
    import page

    many = dataclasses.replace(evaluation, rows=evaluation.rows[:1] * 2000)
    shown = page.table(many, "all")
    assert "2000 of 2000 prompts, the first 50 shown" in shown
    assert shown.count("<article") == 50


def test_examples_are_short_prompts_that_differ_covered_ones_first(evaluation):
    import page

    first = evaluation.rows[0]
    turns = json.dumps([{"role": r, "content": "a"} for r in ("user", "assistant", "user")])
    rows = [
        dataclasses.replace(first, id="long", prompt="word " * 50),
        dataclasses.replace(first, id="turns", prompt=turns),
        dataclasses.replace(first, id="missed", prompt="b", covered=False, tags=["x"]),
        dataclasses.replace(first, id="like-it", prompt="my cam is broken once more"),
        dataclasses.replace(first, id="covered", prompt="my\n cam is broken"),
        dataclasses.replace(first, id="other-output", prompt="my cam is quite new", output="{}"),
    ]
    picked = page.examples(dataclasses.replace(evaluation, rows=rows))
    assert [row.id for row in picked] == ["covered", "other-output", "missed"]
    assert page.chip(picked[0]) == "my cam is broken"
    assert len(page.chip(rows[0])) == 48
    assert page.examples(None) == []


def test_a_message_unlike_the_task_gets_a_hint_and_one_like_it_none():
    import page
    from likeness import Likeness

    lines = (_REPOSITORY / "data/coverage/support_triage/tickets.jsonl").read_text().splitlines()
    prompts = [json.loads(line)["prompt"] for line in lines]
    known, others = prompts[::2], prompts[1::2]
    likeness = Likeness(known)
    assert sum(map(likeness.is_unlike, others)) <= 0.12 * len(others)
    strange = [
        "What is the capital of France?", "2+2", "Write a Python function that reverses a list",
        "Explain quantum computing", "Who won the world cup in 2014?", "asdf qwer",
    ]  # fmt: skip
    assert sum(map(likeness.is_unlike, strange)) >= 4
    assert not Likeness(known[:19]).is_unlike("2+2"), "too few prompts to tell"
    assert "unlike the prompts" in page.comparison(None, None, is_unlike=True)
    assert "unlike the prompts" not in page.comparison(None, None)


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
