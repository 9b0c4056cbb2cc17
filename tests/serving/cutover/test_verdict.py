"""The verdict on captured pairs: what counts, what it says, and its page."""

import argparse
import contextlib
import json
import re

import pytest

from core.errors import UserError
from core.reports.switch import NOT_YET, SAFE, WORSE, SwitchReport
from reports import charts
from reports.verdict_page.page import headline, render_verdict
from reports.verdict_page.scale_chart import scale_spec
from service_llm.journal.journal import Entry, Journal
from service_llm.settings import EmbedderSettings, ServiceLLMSettings
from service_llm.types import Finish, Reply
from serving.cutover import commands
from serving.cutover.nearest import CoverageMap
from serving.cutover.scoring import open_scorer
from serving.cutover.verdict import NO_TAG, make_verdict, verdict_text
from standin.server import serve as serve_judge
from tests.html_page import plain
from tests.serving.cutover.conftest import ROWS, exchange, loading, shadow_lines

SINGLE = exchange(1, prompt="a", service="{}", model=None)


def verdict(preset) -> SwitchReport:
    with open_scorer(preset, "verdict") as scorer:
        return make_verdict(preset, scorer)


def test_a_model_that_answers_alike_is_safe_to_switch(preset_of):
    report = verdict(preset_of(shadow_lines(1500, wrong=0.004)))
    assert (report.overall.state, report.overall.gained) == (SAFE, 0)
    text = verdict_text(report)
    assert "triage, round 3: safe to switch." in text
    # 400 tokens at $0.30 and 100 at $2.50 a million, in the price list of gemini-2.5-flash.
    assert "the service charges $0.37 for 1,000 such requests" in text
    assert headline(report).startswith("Safe to switch: the model is less than 3 points worse")


def test_a_model_that_errs_is_worse_and_the_pairs_are_shown(preset_of, monkeypatch, capsys):
    preset = preset_of(shadow_lines(400, wrong=0.15))

    with pytest.raises(SystemExit, match=r"^4$"):
        commands.verdict(argparse.Namespace(preset="triage.yaml", overrides=[]), loading(preset))
    assert "round 3: worse." in capsys.readouterr().out
    report = SwitchReport.read(str(preset.output_dir / "verdict.json"))
    assert report.overall.state == WORSE
    assert len(report.differing) == report.overall.lost > 40
    newest = report.differing[0]
    assert (newest.better, newest.confidence, json.loads(newest.model)) == (
        "service", -0.1, {"category": "returns"},
    )  # fmt: skip
    page = (preset.output_dir / "verdict.html").read_text()
    assert page.count("<article") == len(report.differing)
    assert "Worse: the model is more than 3 points worse" in plain(page)


@pytest.mark.parametrize(
    ("service", "state"),
    [("```json\n{}\n```", SAFE), ("As JSON: {}", WORSE)],
    ids=["fence", "prose"],
)
def test_a_code_fence_of_the_service_is_no_difference_and_what_no_scorer_reads_is_said(
    preset_of, service, state
):
    lines = [json.loads(line) for line in shadow_lines(400, wrong=0.0)]
    for line in lines:
        line["service"]["text"] = service.replace("{}", line["service"]["text"])
    report = verdict(preset_of([json.dumps(line) for line in lines]))
    assert (report.overall.state, report.overall.pairs) == (state, 400)
    assert report.unscored == (0 if state == SAFE else 400)
    assert ("400 of the pairs could not be scored" in verdict_text(report)) == (state == WORSE)


@pytest.mark.parametrize(("points", "state"), [(1, WORSE), (4, NOT_YET), (12, SAFE)])
def test_the_margin_is_the_one_that_the_user_set(preset_of, points, state):
    report = verdict(preset_of(shadow_lines(800, wrong=0.05), margin_points=points))
    assert (report.overall.state, report.margin_points) == (state, points)
    assert f"margin {points})" in verdict_text(report)
    assert f"{points} points" in plain(render_verdict(report))


def test_few_pairs_say_not_yet_and_about_how_many_more(preset_of):
    report = verdict(preset_of(shadow_lines(40, wrong=0.0)))
    assert report.overall.state == NOT_YET
    text = verdict_text(report)
    assert f"About {report.overall.more_pairs:,} more requests decide it" in text
    assert "Not yet: about" in render_verdict(report)


def test_requests_to_come_are_more_than_pairs_where_a_share_is_copied(preset_of):
    report = verdict(preset_of(shadow_lines(40, wrong=0.0), shadow={"percent": 10}))
    requests = 10 * report.overall.more_pairs
    assert f"About {requests:,} more requests decide it" in verdict_text(report)
    assert f"Not yet: about {requests:,} more requests" in render_verdict(report)


def test_the_judge_costs_what_its_replies_took_and_goes_on_at_that_rate(preset_of):
    price = {"prompt_usd_per_million_tokens": 100, "output_usd_per_million_tokens": 200}

    def judged(lines):
        lines = [json.dumps({**line, "task": "support_triage"}) for line in lines]
        preset = preset_of(lines, judge=judge, scorer="judge")
        task = preset.task.model_copy(update={"name": "support_triage"})
        return verdict(preset.model_copy(update={"task": task}))

    older = [json.loads(line) for line in shadow_lines(40, 1.0, seed=2)[20:]]
    newer = [json.loads(line) for line in shadow_lines(60, 0.5)[40:]]
    for line in older:
        line["model"]["round"] = 2
    with serve_judge() as judging:
        judge = ServiceLLMSettings(
            provider="gemini",
            model="stand-in-demo",
            base_url=judging.url,
            price=price,
            requests_per_minute=100_000,
        )
        first, both = judged(older), judged(older + newer)
        again = judged(older + newer)  # from the journal
    assert both.cost.judged_usd > first.cost.judged_usd > 0
    own = both.cost.judged_usd - first.cost.judged_usd  # not what the other round has cost
    assert (both.round, both.overall.pairs, both.other_rounds) == (3, 20, 20)
    expected = pytest.approx(own / 20 * both.overall.more_pairs)
    assert (both.cost.judge_to_come_usd, again.cost.judge_to_come_usd) == (expected, expected)
    assert again.cost.judged_usd == both.cost.judged_usd
    text = verdict_text(both)
    assert f"The judge has cost ${both.cost.judged_usd:,.2f}" in text
    assert f"will cost about ${both.cost.judge_to_come_usd:,.2f} more" in text


def test_tags_come_from_the_coverage_prompt_that_a_request_is_like(preset_of):
    strange = [
        exchange(9000 + n, prompt="?" * 9 + "quantum flux", service="{}", model="{}")
        for n in range(3)
    ]
    report = verdict(preset_of([*shadow_lines(60, wrong=0.0), *strange]))
    assert {tag: part.pairs for tag, part in report.tags.items()} == {
        "billing": 20, "defect": 20, "shipping": 20, NO_TAG: 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"reason": "unsure"},
        {"reason": "model_failed"},
        {"served_by": "model", "reason": "F6"},
        {"model": None},
        {"task": "another"},
        {"service": None},
    ],
    ids=["unsure", "failed", "failover", "no copy", "task", "no service"],
)
def test_only_requests_that_answers_did_not_choose_count(preset_of, change):
    row = ROWS[0]
    extra = exchange(999, prompt=row.prompt, service=row.output, model=row.output)
    changed = json.dumps({**json.loads(extra), **change})
    assert verdict(preset_of([*shadow_lines(20, 0.0), changed])).overall.pairs == 20


def test_pairs_of_another_round_and_with_another_service_model_do_not_count(preset_of):
    lines = [json.loads(line) for line in shadow_lines(30, 0.0)]
    for line in lines[:10]:
        line["model"]["round"] = 2
    for line in lines[20:]:
        line["service"]["model_version"] = "gemini-x-002"
    report = verdict(preset_of([json.dumps(line) for line in lines]))
    assert (report.overall.pairs, report.other_rounds) == (10, 10)
    assert (report.since, report.differing) == (lines[20]["time"], ())
    said = "answers with gemini-x-002; its pairs with gemini-x-001 (10) are left out."
    assert said in verdict_text(report)
    page = render_verdict(report)
    assert "gemini-x-002. Its pairs with other models are left out: gemini-x-001 (10)." in page


def test_pairs_of_a_run_that_was_repeated_do_not_count_though_its_round_is_the_same(preset_of):
    lines = [json.loads(line) for line in shadow_lines(30, 0.0)]
    for number, line in enumerate(lines):
        version = "triage/round-3@0ld" if number < 20 else "triage/round-3@4ew"
        line["model"]["model_version"] = version if number >= 10 else None
    report = verdict(preset_of([json.dumps(line) for line in lines]))
    assert (report.overall.pairs, report.other_rounds) == (10, 20)
    assert (report.round, report.model_version) == (3, "triage/round-3@4ew")
    assert "20 pairs with other tuned models are left out." in verdict_text(report)
    assert "20 pairs with other tuned models are left out." in render_verdict(report)


def test_answers_that_do_not_say_their_model_count_from_the_newest_one_on(preset_of):
    lines = [json.loads(line) for line in shadow_lines(30, 0.0)]
    for number, line in enumerate(lines):
        if number % 2:
            line["service"]["model_version"] = None
        elif number >= 20:
            line["service"]["model_version"] = "gemini-x-002"
    report = verdict(preset_of([json.dumps(line) for line in lines]))
    assert report.service_versions == {"gemini-x-002": 5, "unknown": 5}
    assert report.other_versions == {"gemini-x-001": 10, "unknown": 10}


def test_without_pairs_it_says_what_to_do(preset_of):
    with pytest.raises(UserError, match=r"no captured exchange of triage.*serving\.capture"):
        verdict(preset_of())
    report = verdict(preset_of([SINGLE]))
    assert (report.overall, report.round, report.since) == (None, None, "")
    for text in (verdict_text(report), render_verdict(report)):
        assert "No verdict: no captured exchange has the answers of the service and of" in text
        assert "understudy serve mode shadow" in text


def test_a_model_that_has_answered_nothing_yet_gets_no_verdict_from_the_one_before(
    preset_of, monkeypatch, capsys
):
    preset = preset_of(shadow_lines(60, 0.0))

    served = {"tasks": [{"name": "other", "version": "o"}, {"name": "triage", "version": "4ew"}]}
    monkeypatch.setattr(commands.RunningGateway, "status", lambda gateway: served)
    commands.verdict(argparse.Namespace(preset="triage.yaml", overrides=[]), loading(preset))
    assert "60 pairs with other tuned models are left out." in capsys.readouterr().out
    report = SwitchReport.read(str(preset.output_dir / "verdict.json"))
    assert (report.overall, report.round, report.model_version) == (None, None, "4ew")


def test_a_model_without_pairs_gets_no_verdict_from_those_of_the_model_before(preset_of):
    newer = json.loads(exchange(99, prompt="a", service="{}", model="{}"))
    newer |= {"service": None, "served_by": "model", "reason": "canary"}
    newer["model"]["model_version"] = "triage/round-3@4ew"
    report = verdict(preset_of([*shadow_lines(60, 0.0), json.dumps(newer)]))
    assert (report.overall, report.model_version) == (None, "triage/round-3@4ew")
    assert "60 pairs with other tuned models are left out." in verdict_text(report)
    assert "60 pairs with other tuned models are left out." in render_verdict(report)


def test_a_line_that_a_crash_cut_off_and_a_copied_file_change_no_verdict(preset_of):
    preset = preset_of(shadow_lines(60, wrong=0.2))
    before = verdict(preset).overall
    folder = preset.output_dir / "serving" / "capture"
    [file] = folder.glob("*.jsonl")
    (folder / "2026-11-02T000000Z-00000000.jsonl").write_bytes(file.read_bytes())
    with file.open("a") as opened:
        opened.write(shadow_lines(61, wrong=0.2)[-1][:200])
    assert verdict(preset).overall == before


@pytest.mark.parametrize("wrong", [0.0, 1.0], ids=["ties", "all lost"])
@pytest.mark.parametrize("pairs", [1, 2])
def test_one_or_two_pairs_decide_nothing(preset_of, pairs, wrong):
    overall = verdict(preset_of(shadow_lines(pairs, wrong))).overall
    assert (overall.state, overall.pairs, overall.lost) == (NOT_YET, pairs, int(wrong) * pairs)
    assert overall.low_points < -50
    assert overall.more_pairs > 0


def test_near_is_measured_on_the_coverage_prompts_themselves():
    coverage = CoverageMap(ROWS)
    like, unlike = coverage.nearest(["My kettle does not boil", "Tell me a joke about bees"])
    assert (like.row, like.is_near, unlike.is_near) == (ROWS[0], True, False)
    [nothing] = CoverageMap(ROWS[:1]).nearest(["zzz"])
    assert not nothing.is_near  # one prompt says nothing of how like prompts are to each other


def test_the_interval_the_margin_and_no_difference_are_drawn_in_their_colors(preset_of):
    found = verdict(preset_of(shadow_lines(400, wrong=0.15))).overall
    for width in charts.WIDTHS.values():
        drawing = charts.svg(scale_spec(found, 3, width))
        strokes = re.findall(r'stroke="(var\(--\w+\))"', drawing)
        assert {"var(--blue)", "var(--red)", "var(--soft)"} <= set(strokes)
        for name in ("as good", "margin"):
            assert f">{name}</text>" in drawing


def test_where_no_chart_can_be_drawn_its_figures_are_text(preset_of, monkeypatch):
    monkeypatch.setattr(charts, "can_draw", lambda: False)
    report = verdict(preset_of(shadow_lines(400, wrong=0.15)))
    page = plain(render_verdict(report))
    assert "<img" not in page
    assert f"{report.overall.difference_points:+.1f} points, " in page
    assert "margin 3 points." in page


@pytest.mark.slow
@pytest.mark.parametrize("lines", [shadow_lines(400, wrong=0.15), [SINGLE]], ids=["pairs", "none"])
def test_axe_finds_nothing_on_the_page(browser, preset_of, tmp_path, lines):
    file = tmp_path / "verdict.html"
    file.write_text(render_verdict(verdict(preset_of(lines))), "utf-8")
    assert browser.audit(file.as_uri()) == []
    assert browser.complaints() == [], "the policy lets the drawing in"
    sizes = browser.run("return [...document.images].map(i => i.complete && i.naturalWidth)")
    assert len(sizes) == (len(lines) > 1)
    assert all(sizes)
    # An image has colors of its own; a drawing in the page is nothing without rules for it.
    assert browser.run("return document.querySelectorAll('figure svg').length") == 0


def test_what_scoring_cost_includes_the_embedding_model(preset_of):
    """`watch` holds it against its budget."""
    preset = preset_of(scorer="embedding", judge=None)
    embedder = EmbedderSettings(provider="openai", model="m", base_url="http://127.0.0.1:9/v1")
    preset = preset.model_copy(
        update={"judging": preset.judging.model_copy(update={"embedder": embedder})}
    )
    with contextlib.closing(Journal(preset.judging.journal_uri)) as journal:
        for component, cost in (("watch", 0.25), ("watch, embeddings", 0.5), ("other", 9.0)):
            reply = Reply("{}", Finish.STOP, 1, 1)
            journal.append(Entry("ab" * 32, "m", component, 0, reply, None, cost)).result()
    with open_scorer(preset, "watch") as scorer:
        assert scorer.used().cost_usd == 0.75
