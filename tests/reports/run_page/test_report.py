import dataclasses
import html
import json
import os
import re
from pathlib import Path

import jinja2
import pytest

from core.reports.last_look import LastLook
from core.reports.loop import LoopSummary, StopReason
from core.reports.synthesis import LoggedRows
from core.usage import Usage
from judging.operation_settings import OperationSettings
from pipeline.config import load_config
from pipeline.operation import compare_operation
from pipeline.summary import make_summary
from reports.run_page.learning_chart import learning_spec
from reports.run_page.page import render_run, write_results
from reports.wording import MODEL_NAMES, SPLITS, STAND_IN_NOTICE, comparison, dollars, percent
from tests.html_page import ATTACK, Page, embedded_rows, plain, rate_text

_DRAWING = "data:image/svg+xml;base64,"


@pytest.fixture
def page(results):
    return Page((results / "report.html").read_text(encoding="utf-8"))


def test_the_files_are_the_summary_and_the_page(results, summary):
    assert LoopSummary.read(str(results / "summary.json")) == summary
    text = (results / "report.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert STAND_IN_NOTICE in text
    assert sorted(os.listdir(results)) == ["report.html", "summary.json"], "no temporary file"


def test_rows_of_logs_and_generated_ones_are_counted_apart(results, summary):
    def mixed(entry):
        logged = LoggedRows(read=1300, kept=1200, dropped={"leak": 100}, scored=True)
        sources = {"generated": 34, "logged": 1200}
        data = entry.synthesis.model_copy(update={"logged": logged, "rows_by_source": sources})
        return entry.model_copy(update={"synthesis": data})

    shown = summary.model_copy(update={"rounds": tuple(map(mixed, summary.rounds))})
    paths = {"summary_file": results / "summary.json", "report_file": results / "report.html"}
    write_results(shown, **paths)
    text = paths["report_file"].read_text(encoding="utf-8")
    assert "<b>34</b> generated rows and <b>1,200</b> logged ones in the best round" in text
    rows = Page(text).rows
    head = next(row for row in rows if "Logged: read" in row)
    of_round = rows[rows.index(head) + 1]
    cells = dict(zip(head, of_round, strict=True))
    assert (cells["Logged: read"], cells["Logged: kept"]) == ("1,300", "1,200")
    assert cells["Kept"] == f"{summary.rounds[0].synthesis.kept}"


@pytest.mark.parametrize(
    ("version", "changed"),
    [
        ("gemini-2.5-flash-001", "answered as gemini-2.5-flash-001 and as gemini-2.5-flash-002"),
        ("gemini-2.5-pro", "was asked for, and gemini-2.5-pro answered"),
    ],
    ids=["version", "model"],
)
def test_the_page_warns_of_what_the_services_replies_show(
    tmp_path, artifacts, verdicts, version, changed
):
    def usage(calls, cost):
        versions = (version, "gemini-2.5-flash-002")
        return Usage(calls, 1, 1, cost, unknown_calls=calls // 100, model_versions=versions)

    artifacts.usage = usage
    artifacts.add_round(verdicts(0.97))
    config = load_config("gemini", ["service_llm.model=gemini-2.5-flash"], environ={})
    summary = make_summary(config, artifacts.loop(), artifacts.runs)
    files = {"summary_file": tmp_path / "summary.json", "report_file": tmp_path / "report.html"}
    write_results(summary, **files)
    told = html.unescape(files["report_file"].read_text(encoding="utf-8"))
    for warning in (
        "shut down by its provider on 2026-12-01",
        changed,
        "did not say how many tokens 13 of 1300 calls took",
        "did not say how many tokens 4 of 400 calls took",
        "their cost is estimated from",
    ):
        assert re.search(rf'<p class="notice" role="note">[^<]*{re.escape(warning)}', told)


def test_writing_again_replaces_and_a_failure_keeps_the_old_files(results, summary):
    paths = {"summary_file": results / "summary.json", "report_file": results / "report.html"}
    old = paths["report_file"].read_text()
    broken = summary.model_copy(update={"versions": None})
    with pytest.raises(jinja2.UndefinedError, match="items"):
        write_results(broken, **paths)
    assert LoopSummary.read(str(paths["summary_file"])) == summary
    assert paths["report_file"].read_text() == old
    write_results(summary.model_copy(update={"task": "another_task"}), **paths)
    assert "another_task" in paths["report_file"].read_text()
    assert sorted(os.listdir(results)) == ["report.html", "summary.json"]


def test_the_coverage_figures_are_those_of_the_summary(page, summary):
    best = summary.rounds[1]
    for entry in summary.rounds:
        tuned = [rate_text(entry.report.models["tuned"][part]) for part in SPLITS]
        assert any(row[1:4] == tuned for row in page.rows), f"round {entry.round}"
    for model, name in MODEL_NAMES.items():
        if model == "tuned":
            continue
        rates = [rate_text(best.report.models[model][part]) for part in SPLITS]
        change = best.report.baselines[model].holdout.change
        (row,) = (row for row in page.rows if row and row[0] == name and len(row) == 5)
        assert row[1:4] == rates
        assert f"{change.difference_points:+.1f} points" in row[4]
        assert f"prompts gained {change.gained}, lost {change.lost}" in row[4]
    for tag, rate in best.report.models["tuned"].tags.items():
        (row,) = (row for row in page.rows if row and row[0] == tag)
        assert row[1] == rate_text(rate)


def test_a_round_is_compared_with_the_one_before(page, summary):
    first, second = summary.rounds
    change = second.report.change.holdout
    cells = [row for row in page.rows if len(row) == 6 and row[4] in ("passed", "not passed")]
    before, now = (row[5] for row in cells)
    assert first.report.change is None
    assert before == ""
    wanted = f"{change.difference_points:+.1f} points; prompts gained {change.gained}, "
    assert now.startswith(wanted)
    assert change.p_value < 0.05
    assert "may be chance" not in now


def test_data_time_and_cost_are_those_of_the_summary(page, summary):
    rows = [row for row in page.rows if row]
    reasons = ["bad_output", "duplicate", "leak", "missing"]
    for entry in summary.rounds:
        data = entry.synthesis
        figures = [data.requested, data.generated]
        figures += [data.dropped[reason] for reason in reasons]
        figures += [
            getattr(data, k) for k in ("surplus", "kept", "total_rows", "train_rows", "eval_rows")
        ]
        assert [str(entry.round), *(f"{f:,}" for f in figures)] in rows
        training = entry.training
        start = "base model" if entry.round == 1 else "round 1"
        assert [str(entry.round), start, f"{training.train_rows:,}", "2", "3"] in [
            row[:5] for row in rows
        ], "with the rows that were too long"
        usage = entry.synthesis.usage
        cost = dollars(usage.cost_usd)
        tokens = [f"{getattr(usage, k):,}" for k in ("calls", "prompt_tokens", "output_tokens")]
        assert [str(entry.round), "SynthDataGen", *tokens, cost] in rows
    assert ["All", "", "3,400", "3,060,000", "238,000", "$0.0500"] in rows
    assert ["Trainer", "2 min 23 s", "2 min 23 s"] in rows
    assert ["CoverageExampleGen", "2.3 s", "cached"] in rows


def test_every_answer_of_the_tuned_model_has_a_row_with_its_verdict(results, verdict_rows):
    text = (results / "report.html").read_text(encoding="utf-8")
    tuned = [row for row in verdict_rows if row.model == "tuned"]
    rows = embedded_rows(text)
    assert len(rows) == len(tuned) == 60
    shown = sorted(row["answers"]["tuned"]["verdict"] for row in rows)
    covered = sum(row.covered for row in tuned)
    assert shown == sorted(
        ["covered"] * covered + ["unscored"] + ["not covered"] * (60 - 1 - covered)
    )
    assert [row["id"] for row in rows] == sorted(row.id for row in tuned)


def test_what_models_and_users_wrote_is_escaped(summary, verdict_rows):
    names = ("id", "split", "prompt", "output", "response", "reason")
    hostile = dict.fromkeys(names, ATTACK) | {"tags": (ATTACK, '"quoted"')}
    rows = [dataclasses.replace(row, **hostile) for row in verdict_rows[:1]]
    text = render_run(summary, [*rows, *verdict_rows[1:]])
    page = Page(text)
    assert ATTACK not in text
    assert [a.get("type") for a in page.all("script")] == ["application/json", None]
    assert all(a["src"].startswith(_DRAWING) for a in page.all("img"))
    assert not [name for _, attributes in page.elements for name in attributes if name[:2] == "on"]
    assert html.escape(ATTACK) in text, "the tag among the choices of the filter"
    (row,) = (row for row in embedded_rows(text) if row["id"] == ATTACK)
    assert ATTACK in row["tags"]
    assert row["prompt"] == row["answers"]["tuned"]["text"] == ATTACK


def test_the_page_names_no_stand_in_where_none_took_part(summary, verdict_rows):
    real = summary.model_copy(update={"stand_in": False})
    assert STAND_IN_NOTICE not in render_run(real, verdict_rows)


@pytest.mark.parametrize("is_random", [True, False], ids=["random", "Gemma"])
def test_of_random_weights_the_page_says_that_0_percent_is_expected(
    summary, verdict_rows, is_random
):
    best = summary.best
    if is_random:
        training = best.training.model_copy(update={"preset": "random:gemma3-tiny"})
        best = best.model_copy(update={"training": training})
    made = summary.model_copy(update={"rounds": (*summary.rounds[:-1], best)})
    header = render_run(made, verdict_rows).partition("<main>")[0]
    told = "0 % is expected: random:gemma3-tiny has random weights."
    assert (told in plain(header)) == is_random


def test_the_page_loads_nothing(page, results):
    text = (results / "report.html").read_text(encoding="utf-8")
    assert page.all("link") == page.all("iframe") == []
    drawings = [a.get("src") or a["srcset"] for _, a in page.elements if {"src", "srcset"} & {*a}]
    assert len(drawings) == 2 * 4, "coverage, rows, losses and tags, for two widths"
    assert all(drawing.startswith(_DRAWING) for drawing in drawings)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest", text)
    policy = next(a["content"] for a in page.all("meta") if "http-equiv" in a)
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    targets = {a["id"] for _, a in page.elements if "id" in a}
    targets |= {row["id"] for row in embedded_rows(text)}
    links = {a["href"] for a in page.all("a")}
    assert {link[1:] for link in links if link.startswith("#")} <= targets
    assert not [link for link in links if "//" in link], "the others are files of the run"


def test_the_charts_can_be_read_without_seeing_them(page, summary):
    coverage, learning, _, losses = (image["alt"] for image in page.all("img"))
    rates = [e.report.models["tuned"].holdout.rate_percent for e in summary.rounds]
    assert f"Tuned model on holdout: round 1 {rates[0]:.1f} %, round 2 {rates[1]:.1f} %" in coverage
    assert "threshold 80.0 %" in coverage
    assert summary.learning.conclusion in learning
    for entry in summary.rounds:
        assert f"Round {entry.round}: training loss from" in losses


@pytest.mark.parametrize("stop_reason", [None, *StopReason])
def test_a_single_round_without_baselines_push_or_times_renders(
    config, artifacts, verdicts, stop_reason
):
    rows = verdicts(0.3)
    artifacts.add_round({"tuned": [dataclasses.replace(r, tags=()) for r in rows["tuned"]]})
    found = make_summary(config, artifacts.loop(stop_reason), {})
    text = render_run(found, rows["tuned"])
    Page(text)  # every element is closed
    assert "No other model was judged" in text
    assert "no model has reached the threshold" in text
    assert "has no tags" in text
    assert ("has not ended" in text) == ('data-refresh="30"' in text) == (stop_reason is None)
    assert len(embedded_rows(text)) == 60


def test_several_samples_of_a_prompt_each_have_a_row(summary, verdict_rows):
    second = [
        dataclasses.replace(r, sample=1, response="the second sample")
        for r in verdict_rows
        if r.model == "tuned"
    ]
    text = render_run(summary, [*verdict_rows, *second])
    assert sorted(row["sample"] for row in embedded_rows(text)) == [0] * 60 + [1] * 60


def test_best_says_when_it_may_be_chance(summary, verdict_rows):
    change = summary.runner_up.change
    assert summary.runner_up.round == 1
    for significant, may_be_chance in ((True, False), (False, True)):
        changed = change.model_copy(update={"significant": significant})
        runner_up = summary.runner_up.model_copy(update={"change": changed})
        text = render_run(summary.model_copy(update={"runner_up": runner_up}), verdict_rows)
        assert ("Best: round 2, which may be chance" in text) is may_be_chance
    text = plain(render_run(summary, verdict_rows))
    assert f"the second best: {comparison(change)}" in text


def test_service_or_own_shows_costs_latencies_and_the_break_even(page, summary, results):
    costs = summary.operation
    text = (results / "report.html").read_text(encoding="utf-8")
    assert costs.machine == "e2-standard-4"
    assert costs.machine_usd_per_hour == 0.15, "the list price"
    assert costs.replies_usd == summary.usage.cost_usd
    assert costs.training_hours == pytest.approx(summary.seconds / 3600)
    assert f"From {costs.break_even_per_day:,} requests a day on" in text
    rows = {row[0]: row[1:4] for row in page.rows if row and len(row) == 5}
    assert rows["Service LLM (stand-in-1)"] == ["$1.00", "412 ms", "1.25 s"]
    assert rows["Tuned model"] == [dollars(costs.own_usd_per_1000), "1.90 s", "2.31 s"]


def test_without_prices_and_times_service_or_own_says_unknown(config, two_rounds):
    made = make_summary(config, two_rounds.loop(), two_rounds.runs)
    best = made.best
    bare = best.report.model_copy(update={"service_answers": None, "own_answers": None})
    unknown = compare_operation(config, made.rounds, best.model_copy(update={"report": bare}))
    page = Page(render_run(made.model_copy(update={"operation": unknown}), []))
    rows = {row[0]: row[1:5] for row in page.rows if row and len(row) == 5}
    assert rows["Service LLM"] == ["unknown", "unknown", "unknown", "nothing"]
    assert rows["Tuned model"] == ["unknown", "unknown", "unknown", "nothing"]


def test_the_machine_is_that_of_the_settings(config, summary):
    changed = config.model_copy(
        update={"operation": OperationSettings(machine="g2-standard-8", requests_per_day=5)}
    )
    found = compare_operation(changed, summary.rounds, summary.best)
    assert (found.machine, found.machine_usd_per_hour) == ("g2-standard-8", 0.98)
    assert found.requests_per_day == 5


def test_the_learning_curve_has_a_point_for_each_round_and_its_conclusion(page, summary, results):
    text = (results / "report.html").read_text(encoding="utf-8")
    curve = summary.learning
    assert [(point.round, point.rows) for point in curve.points] == [(1, 461), (2, 922)]
    for point, entry in zip(curve.points, summary.rounds, strict=True):
        assert point.rate == entry.report.models["tuned"].holdout
        assert point.strict == entry.report.strict["tuned"].holdout.rate
        assert f"Round {point.round}, {point.rows:,} rows: {point.rate.rate_percent:.1f} %" in text
        assert f"Round {point.round}, strict, {point.rows:,} rows" in text
    assert curve.conclusion == "The threshold was reached with 922 training rows."
    assert curve.conclusion in text


def test_an_estimate_of_the_rows_is_drawn_with_its_interval(config, artifacts_of, verdicts):
    loop = artifacts_of("rising")
    for number, share in ((1, 0.3), (3, 0.6)):
        loop.add_round(verdicts(share, seed=number))
    made = make_summary(config, loop.loop(StopReason.MAX_ROUNDS), loop.runs)
    curve = made.learning
    assert curve.low_rows < curve.rows_to_threshold
    text = render_run(made, [])
    assert f"would take about {curve.rows_to_threshold:,} training rows" in text
    specification = learning_spec(curve, 340)
    bands = [layer for layer in specification["layer"] if layer["mark"]["type"] == "rect"]
    assert [band["data"]["values"][0]["rows"] for band in bands] == [curve.low_rows]


def test_one_round_says_that_more_rows_cannot_be_estimated(config, artifacts, verdicts):
    artifacts.add_round(verdicts(0.3))
    made = make_summary(config, artifacts.loop(StopReason.MAX_ROUNDS), artifacts.runs)
    text = render_run(made, [])
    assert "The rows to the threshold cannot be estimated from one round." in text
    assert "Rate by training rows" not in text


def test_output_values_are_compared_in_references_training_rows_and_answers(page, verdict_rows):
    tuned = [row for row in verdict_rows if row.model == "tuned"]
    low = [json.loads(row.output)["priority"] == "low" for row in tuned]
    share = percent(100 * sum(low) / len(low))
    (row,) = (row for row in page.rows if row and row[0] == '"low"' and len(row) == 4)
    assert row[1:] == [share, "75.0 %", share]


def test_the_page_says_that_generation_was_not_aimed_and_why(results, summary):
    text = (results / "report.html").read_text(encoding="utf-8")
    assert "gains anything has not been measured" in text
    aimed = {**summary.config, "synth": {**summary.config["synth"], "aim": True}}
    text = render_run(summary.model_copy(update={"config": aimed}), [])
    assert "has shown no gain" not in text


def test_the_report_shows_the_rows_of_the_last_look(summary, results, verdict_rows):
    row = dataclasses.replace(verdict_rows[0], id="sealed-1", split="test")
    folder = Path(summary.best.artifacts.report)
    (folder / "test_verdicts.jsonl").write_text(f"{row.to_json()}\n", encoding="utf-8")
    file = results / "report.html"
    before = embedded_rows(file.read_text(encoding="utf-8"))
    best = summary.best
    rate = best.report.models["tuned"].holdout
    look = LastLook(holdout_looks=2, models={"tuned": rate}, threshold_percent=70.0, reached=True)
    report = best.report.model_copy(update={"last_look": look})
    rounds = (*summary.rounds[:-1], best.model_copy(update={"report": report}))
    looked = summary.model_copy(update={"rounds": rounds})
    write_results(looked, summary_file=results / "summary.json", report_file=file)
    after = embedded_rows(file.read_text(encoding="utf-8"))
    assert [row["id"] for row in after if row not in before] == ["sealed-1"]
    assert len(after) == len(before) + 1
