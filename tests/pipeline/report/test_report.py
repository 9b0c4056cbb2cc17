import dataclasses
import html
import json
import os
import re

import jinja2
import pytest

from components.llm_evaluator.page.wording import MODEL_NAMES, STAND_IN_NOTICE, dollars
from pipeline.report import render_page, write_results
from pipeline.rounds import StopReason
from pipeline.summary import make_summary
from tests.html_page import Page, rate_text

_ATTACK = "</p><script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.fixture
def page(results):
    return Page((results / "report.html").read_text(encoding="utf-8"))


def test_the_files_are_the_summary_and_the_page(results, summary):
    assert json.loads((results / "summary.json").read_text(encoding="utf-8")) == summary
    text = (results / "report.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert STAND_IN_NOTICE in text
    assert sorted(os.listdir(results)) == ["report.html", "summary.json"], "no temporary file"


def test_writing_again_replaces_and_a_failure_keeps_the_old_files(results, summary):
    paths = {"summary_file": results / "summary.json", "report_file": results / "report.html"}
    old = paths["report_file"].read_text()
    broken = {key: value for key, value in summary.items() if key != "versions"}
    with pytest.raises(jinja2.UndefinedError, match="versions"):
        write_results(broken, **paths)
    assert json.loads(paths["summary_file"].read_text()) == summary
    assert paths["report_file"].read_text() == old
    write_results(summary | {"task": "another_task"}, **paths)
    assert "another_task" in paths["report_file"].read_text()
    assert sorted(os.listdir(results)) == ["report.html", "summary.json"]


def test_the_coverage_figures_are_those_of_the_summary(page, summary):
    best = summary["rounds"][1]
    for entry in summary["rounds"]:
        tuned = [
            rate_text(entry["rates"]["tuned"][part]) for part in ("holdout", "seed", "overall")
        ]
        assert any(row[1:4] == tuned for row in page.rows), f"round {entry['round']}"
    for model, name in MODEL_NAMES.items():
        if model == "tuned":
            continue
        rates = [rate_text(best["rates"][model][part]) for part in ("holdout", "seed", "overall")]
        change = best["baselines"][model]["holdout"]["change"]
        (row,) = (row for row in page.rows if row and row[0] == name)
        assert row[1:4] == rates
        assert f"{change['difference_points']:+.1f} points" in row[4]
        assert f"prompts gained {change['gained']}, lost {change['lost']}" in row[4]
    for tag, rate in best["rates"]["tuned"]["tags"].items():
        (row,) = (row for row in page.rows if row and row[0] == tag)
        assert row[1] == rate_text(rate)


def test_a_round_is_compared_with_the_one_before(page, summary):
    first, second = summary["rounds"]
    change = second["change"]["holdout"]
    cells = [row for row in page.rows if len(row) == 6 and row[4] in ("passed", "not passed")]
    before, now = (row[5] for row in cells)
    assert first["change"] is None
    assert before == ""
    wanted = f"{change['difference_points']:+.1f} points; prompts gained {change['gained']}, "
    assert now.startswith(wanted)
    assert change["p_value"] < 0.05
    assert "may be chance" not in now


def test_data_time_and_cost_are_those_of_the_summary(page, summary):
    rows = [row for row in page.rows if row]
    reasons = ["bad_output", "duplicate", "leak", "not_generated"]
    for entry in summary["rounds"]:
        data = entry["data"]
        figures = [data["requested"], data["generated"]]
        figures += [data["dropped"][reason] for reason in reasons]
        figures += [data[k] for k in ("surplus", "kept", "total_rows", "train_rows", "eval_rows")]
        assert [str(entry["round"]), *(f"{f:,}" for f in figures)] in rows
        training = entry["training"]
        start = "base model" if entry["round"] == 1 else "round 1"
        assert [str(entry["round"]), start, f"{training['train_rows']:,}", "2", "3"] in [
            row[:5] for row in rows
        ], "with the rows that were too long"
        usage = entry["usage"]["SynthDataGen"]
        cost = dollars(usage["cost_usd"])
        tokens = [f"{usage[k]:,}" for k in ("calls", "prompt_tokens", "output_tokens")]
        assert [str(entry["round"]), "SynthDataGen", *tokens, cost] in rows
    assert ["All", "", "3,400", "3,060,000", "238,000", "$0.0500"] in rows
    assert ["Trainer", "2 min 23 s", "2 min 23 s"] in rows
    assert ["CoverageExampleGen", "2.3 s", "cached"] in rows


def test_every_answer_of_the_tuned_model_has_a_row_with_its_verdict(page, verdict_rows):
    tuned = [row for row in verdict_rows if row.model == "tuned"]
    articles = page.all("article")
    assert len(articles) == len(tuned) == 60
    shown = sorted(a["data-verdict"] for a in articles)
    covered = sum(row.covered for row in tuned)
    assert shown == sorted(
        ["covered"] * covered + ["unscored"] + ["not covered"] * (60 - 1 - covered)
    )
    assert articles[0]["data-verdict"] == "not covered", "what needs a look comes first"
    assert all(isinstance(json.loads(a["data-tags"]), list) for a in articles)


def test_what_models_and_users_wrote_is_escaped(summary, verdict_rows):
    names = ("id", "split", "prompt", "output", "response", "reason")
    hostile = dict.fromkeys(names, _ATTACK) | {"tags": (_ATTACK, '"quoted"')}
    rows = [dataclasses.replace(row, **hostile) for row in verdict_rows[:1]]
    text = render_page(summary, [*rows, *verdict_rows[1:]])
    page = Page(text)
    assert _ATTACK not in text
    assert text.count(html.escape(_ATTACK)) >= 6
    assert len(page.all("script")) == 1
    assert page.all("img") == []
    assert not [name for _, attributes in page.elements for name in attributes if name[:2] == "on"]
    assert _ATTACK in [t for a in page.all("article") for t in json.loads(a["data-tags"])]


def test_the_page_loads_nothing(page, results):
    text = (results / "report.html").read_text(encoding="utf-8")
    assert page.all("link") == page.all("img") == page.all("iframe") == []
    assert not [a for _, a in page.elements if "src" in a]
    assert all(a["href"].startswith("#") for _, a in page.elements if "href" in a)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest", text)
    policy = next(a["content"] for a in page.all("meta") if "http-equiv" in a)
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    targets = {a["id"] for _, a in page.elements if "id" in a}
    assert {a["href"][1:] for a in page.all("a")} <= targets


def test_the_chart_can_be_read_without_seeing_it(page, summary):
    labels = [a["aria-labelledby"] for a in page.all("svg") if "aria-labelledby" in a]
    ids = {a.get("id") for _, a in page.elements}
    assert len(labels) == 3, "the coverage rate, and the losses of two rounds"
    assert {word for label in labels for word in label.split()} <= ids
    rates = [e["rates"]["tuned"]["holdout"]["rate_percent"] for e in summary["rounds"]]
    from pipeline.report.chart import make_chart

    chart = make_chart(summary["rounds"], summary["rounds"][1], MODEL_NAMES)
    assert f"round 1 {rates[0]:.1f} %, round 2 {rates[1]:.1f} %" in chart.description


def test_points_lie_inside_their_intervals_and_the_drawing(summary):
    from pipeline.report import chart

    names = {"base": "Untuned", "few_shot": "F", "service": "S"}
    drawn = chart.make_chart(summary["rounds"], summary["rounds"][1], names)
    assert [line.kind for line in drawn.series] == ["holdout", "seed"]
    assert [level.kind for level in drawn.levels] == ["threshold", "base", "few_shot", "service"]
    for point in (p for line in drawn.series for p in line.points):
        assert chart.TOP <= point.high <= point.y <= point.low <= chart.HEIGHT - chart.BOTTOM
        assert chart.LEFT < point.x < chart.WIDTH - chart.RIGHT


@pytest.mark.parametrize("stop_reason", [None, *StopReason])
def test_a_single_round_without_baselines_push_or_times_renders(
    config, artifacts, verdicts, stop_reason
):
    rows = verdicts(0.3)
    artifacts.add_round({"tuned": [dataclasses.replace(r, tags=()) for r in rows["tuned"]]})
    found = make_summary(config, artifacts.loop(stop_reason), {})
    text = render_page(found, rows["tuned"])
    page = Page(text)
    assert "No other model was judged" in text
    assert "no model has reached the threshold" in text
    assert "has no tags" in text
    assert ("has not ended" in text) == (stop_reason is None)
    assert len(page.all("article")) == 60


def test_several_samples_of_a_prompt_each_have_a_row(summary, verdict_rows):
    second = [
        dataclasses.replace(r, sample=1, response="the second sample")
        for r in verdict_rows
        if r.model == "tuned"
    ]
    text = render_page(summary, [*verdict_rows, *second])
    assert len(Page(text).all("article")) == 120
    assert text.count("sample 2") == 60
