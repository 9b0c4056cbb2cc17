"""The evaluation page: its figures are the report's, and what models wrote stays text."""

import dataclasses
import html
import re

from core.reports.coverage import Agreement
from judging.calibration import JudgeErrors
from reports.evaluation_page.page import render_evaluation
from reports.evaluation_page.tag_chart import tag_lines, tag_spec
from reports.wording import MODEL_NAMES, STAND_IN_NOTICE, comparison
from tests.html_page import ATTACK, Page, embedded_rows, plain, rate_text
from tests.reports.evaluation_page.conftest import (
    _PARTS,
)


def test_every_model_has_its_rates_and_is_compared_with_the_tuned_one(page, evaluation):
    report, _ = evaluation
    for model, name in MODEL_NAMES.items():
        rates = [rate_text(report.models[model][part]) for part in _PARTS]
        row = next(row for row in page.rows if row and row[0] == name)
        assert row[1:4] == rates
        if model != "tuned":
            assert row[4].startswith(comparison(report.baselines[model].holdout.change))
    relative = report.baselines["service"].holdout.relative
    row = next(row for row in page.rows if row and row[0] == MODEL_NAMES["service"])
    assert f"{relative.percent:.1f} % of its coverage" in row[4]


def test_the_change_since_the_round_before_is_tested_and_marked(text, evaluation):
    report, _ = evaluation
    change = report.change
    assert change.overall.gained_ids
    told = comparison(change.holdout)
    assert f"Compared with round 1 on holdout (McNemar's exact test): {told}." in plain(text)
    changed = [row["changed"] for row in embedded_rows(text)]
    assert changed.count("gained") == change.overall.gained
    assert changed.count("lost") == change.overall.lost


def test_scorers_stand_beside_the_judge_with_their_agreement(page, evaluation):
    report, _ = evaluation
    for name, label in (("exact_match", "exact match"), ("json_fields", "JSON fields")):
        section = report.scorers[name]
        row = next(row for row in page.rows if row and row[0] == label)
        assert row[2:5] == [rate_text(section.models["tuned"][part]) for part in _PARTS]
        assert row[6:] == [
            str(section.agreement.only_first), str(section.agreement.only_second),
        ]  # fmt: skip


def test_labels_show_kappa_and_the_corrected_rates(page, text, evaluation):
    report, _ = evaluation
    assert "People labelled 100 responses." in text
    assert "Cohen&#39;s kappa 0.71, 0.57 to 0.85" in text
    assert "93.8 % (sensitivity)" in plain(text)
    for model, name in MODEL_NAMES.items():
        rates = report.calibration.corrected[model]
        wanted = [
            f"{r.rate_percent:.1f} % {r.low_percent:.1f} % to {r.high_percent:.1f} %"
            for r in (rates[part] for part in _PARTS)
        ]
        assert [name, *wanted] in page.rows


def test_without_labels_the_page_says_how_to_make_some(verdicts, report_of):
    text = render_evaluation(report_of(verdicts), verdicts["tuned"])
    assert "understudy label" in text


def test_labels_that_cannot_correct_say_so(verdicts, report_of):
    agreed = Agreement(rows=2, both=2, neither=0, only_first=0, only_second=0, agree_percent=100.0)
    errors = JudgeErrors(positives=2, found=2, negatives=0, rejected=0)
    text = render_evaluation(report_of(verdicts, calibration=(errors, agreed)), verdicts["tuned"])
    assert "cannot be corrected with these labels" in text
    assert "kappa not defined" in text


def test_every_prompt_has_all_answers_with_votes_and_reasons(text, evaluation):
    _, rows = evaluation
    shown = embedded_rows(text)
    assert len(shown) == 40
    assert {tuple(row["answers"]) for row in shown} == {tuple(MODEL_NAMES)}
    answers = [answer for row in shown for answer in row["answers"].values()]
    assert sum(len(answer["votes"]) for answer in answers) == sum(len(row.votes) for row in rows)
    reasons = [answer["reason"] for answer in answers if answer["verdict"] == "unscored"]
    assert reasons == ["0 of 2 votes could be read (refused)."]


def test_the_other_right_answers_stand_next_to_the_reference(verdicts, report_of):
    row = dataclasses.replace(verdicts["tuned"][0], references=("Another way.", "A third."))
    text = render_evaluation(report_of({"tuned": [row]}), [row])
    (shown,) = embedded_rows(text)
    assert (shown["reference"], shown["others"]) == (row.output, ["Another way.", "A third."])
    assert shown["answers"]["tuned"]["text"] == row.response


def test_the_rows_of_the_last_look_are_among_every_prompt(looked, verdicts):
    text = render_evaluation(*looked)
    shown = {row["id"]: row for row in embedded_rows(text) if row["split"] == "test"}
    assert sorted(shown) == sorted(f"test-{row.id}" for row in verdicts["tuned"][:4])
    assert {tuple(row["answers"]) for row in shown.values()} == {("tuned", "service")}
    assert "<option>test</option>" in text
    assert "<option>only-in-test</option>" in text
    assert "judged once, after the loop: rows that are written for them" in text


def test_every_tile_with_a_rate_names_its_split(looked):
    text = render_evaluation(*looked).partition('<ul class="figures">')[2].partition("</ul>")[0]
    tiles = re.findall(r"<li><b>[^<]*%</b>(.*?)</li>", text, re.DOTALL)
    assert len(tiles) >= 7
    for tile in tiles:
        assert re.search(r" on (test|holdout)\b", tile), tile


def test_before_the_last_look_the_page_says_that_test_prompts_are_not_shown(evaluation):
    report, rows = evaluation
    text = render_evaluation(report.model_copy(update={"sealed_prompts": 1200}), rows)
    assert "1,200 test prompts are not among them" in text
    assert "test prompts" not in render_evaluation(report, rows)


def test_an_order_that_decides_and_a_suspect_reference_are_named(verdicts, report_of):
    rows = {model: list(found) for model, found in verdicts.items()}
    votes = rows["tuned"][0].votes
    swayed = (
        dataclasses.replace(votes[0], similarity=5, correctness=5, reference_correctness=1),
        dataclasses.replace(votes[1], similarity=1, correctness=1, reference_correctness=1),
    )
    for model, found in rows.items():
        found[0] = dataclasses.replace(found[0], response=model, votes=swayed)
    report = report_of(rows)
    text = plain(render_evaluation(report, rows["tuned"]))
    assert "The order decided the verdict on 4 of " in text
    told = "Of 40 prompts it rates the references of 1 (2.5 %) below 4, the least for a correct"
    assert told in text
    misread = "The stand-in reads messages by a grammar and misunderstands some"
    assert misread in text
    real = report.model_copy(update={"stand_in": False})
    assert misread not in render_evaluation(real, rows["tuned"])
    suspect = rows["tuned"][0].id
    assert f'Look at <a href="#{suspect}">{suspect}</a>.' in text


def test_what_models_and_users_wrote_is_escaped(verdicts, report_of):
    names = ("id", "split", "prompt", "output", "response", "reason")
    hostile = dict.fromkeys(names, ATTACK) | {"tags": (ATTACK, '"quoted"')}
    votes = tuple(dataclasses.replace(vote, reason=ATTACK) for vote in verdicts["tuned"][0].votes)
    row = dataclasses.replace(verdicts["tuned"][0], votes=votes, **hostile)
    rows = [row, *verdicts["tuned"][1:]]
    text = render_evaluation(report_of({"tuned": rows}), rows)
    page = Page(text)
    assert ATTACK not in text
    assert html.escape(ATTACK) in text, "the tag among the choices of the filter"
    assert [a.get("type") for a in page.all("script")] == ["application/json", None]
    assert {a["src"][:26] for a in page.all("img")} == {"data:image/svg+xml;base64,"}
    (row,) = (row for row in embedded_rows(text) if row["id"] == ATTACK)
    assert row["answers"]["tuned"]["votes"][0][-1] == row["prompt"] == ATTACK


def test_tags_are_drawn_worst_first_beside_the_service(verdicts, evaluation, page):
    report, _ = evaluation
    lines = tag_lines(report)
    rates = [line.tuned.rate_percent for line in lines]
    assert rates == sorted(rates)
    assert rates[0] < rates[-1]
    rows = tag_spec(lines, 1100)["data"]["values"]
    service = report.models["service"].tags
    assert [row["tag"] for row in rows][::2] == [line.tag for line in lines]
    for row in rows[1::2]:
        rate = service[row["tag"]]
        assert (row["low"], row["rate"], row["high"]) == (
            rate.low_percent, rate.rate_percent, rate.high_percent,
        )  # fmt: skip
    (cells,) = (row for row in page.rows if row and row[0] == lines[0].tag)
    assert cells[1:3] == [rate_text(lines[0].tuned), rate_text(service[lines[0].tag])]


def test_a_stand_in_is_named(text, evaluation):
    report, rows = evaluation
    assert STAND_IN_NOTICE in text
    assert STAND_IN_NOTICE not in render_evaluation(
        report.model_copy(update={"stand_in": False}), rows
    )
