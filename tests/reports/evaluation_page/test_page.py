"""The evaluation page: its figures are the report's, and what models wrote stays text."""

import csv
import dataclasses
import html
import io
import json

import pytest

from core.reports.coverage import Agreement, CoverageReport
from core.usage import Usage
from judging.calibration import JudgeErrors
from judging.report import Previous, describe_judge, make_findings
from judging.settings import EvaluatorSettings
from reports.evaluation_page.page import render_evaluation
from reports.evaluation_page.tag_chart import tag_lines, tag_spec
from reports.wording import MODEL_NAMES, STAND_IN_NOTICE, comparison
from tests.evaluation import coverage_rows, verdicts_of
from tests.html_page import Page, embedded_rows, rate_text

_PARTS = ("holdout", "seed", "overall")
_SHARES = {"tuned": 0.85, "base": 0.05, "few_shot": 0.3, "service": 0.95}
_ATTACK = "</p><script>alert(1)</script><img src=x onerror=alert(2)>"
_AGREEMENT = Agreement(
    rows=100,
    both=60,
    neither=28,
    only_first=4,
    only_second=8,
    agree_percent=88.0,
    kappa=0.71,
    kappa_low=0.57,
    kappa_high=0.85,
)


@pytest.fixture(scope="module")
def verdicts():
    return verdicts_of(coverage_rows(40), _SHARES, seed=2)


@pytest.fixture(scope="module")
def report_of():
    """Makes a report as the executor writes it."""

    def make(verdicts, *, earlier=None, calibration=None, **settings):
        made = EvaluatorSettings(**settings)
        judge = describe_judge("gemini", "stand-in-1", made)
        previous = Previous(1, judge, earlier) if earlier else None
        findings = make_findings(
            verdicts, made, judge=judge, previous=previous, calibration=calibration
        )
        return CoverageReport(
            **dict(findings),
            task="support_triage",
            round=2,
            usage=Usage(640, 1, 1, 0.0421),
            stand_in=True,
        )

    return make


@pytest.fixture(scope="module")
def evaluation(verdicts, report_of):
    """Report and verdict rows of a second round with human labels."""
    earlier = verdicts_of(coverage_rows(40), {"tuned": 0.5}, seed=1)["tuned"]
    errors = JudgeErrors(positives=64, found=60, negatives=36, rejected=28)
    report = report_of(verdicts, earlier=earlier, calibration=(errors, _AGREEMENT))
    return report, [row for rows in verdicts.values() for row in rows]


@pytest.fixture(scope="module")
def text(evaluation):
    return render_evaluation(*evaluation)


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


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
    assert f"Compared with round 1 on holdout (McNemar's exact test): {told}." in text
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
    assert "93.8 % (sensitivity)" in text
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


def test_an_order_that_decides_and_a_suspect_reference_are_named(verdicts, report_of):
    rows = {model: list(found) for model, found in verdicts.items()}
    votes = rows["tuned"][0].votes
    swayed = (
        dataclasses.replace(votes[0], similarity=5, correctness=5, reference_correctness=1),
        dataclasses.replace(votes[1], similarity=1, correctness=1, reference_correctness=1),
    )
    for model, found in rows.items():
        found[0] = dataclasses.replace(found[0], response=model, votes=swayed)
    text = render_evaluation(report_of(rows), rows["tuned"])
    assert "The order decided the verdict on 4 of " in text
    assert "the judge disagrees with the reference of 1 of 40 coverage rows (2 %)." in text
    suspect = rows["tuned"][0].id
    assert f'Look at <a href="#{suspect}">{suspect}</a>.' in text


def test_what_models_and_users_wrote_is_escaped(verdicts, report_of):
    names = ("id", "split", "prompt", "output", "response", "reason")
    hostile = dict.fromkeys(names, _ATTACK) | {"tags": (_ATTACK, '"quoted"')}
    votes = tuple(dataclasses.replace(vote, reason=_ATTACK) for vote in verdicts["tuned"][0].votes)
    row = dataclasses.replace(verdicts["tuned"][0], votes=votes, **hostile)
    rows = [row, *verdicts["tuned"][1:]]
    text = render_evaluation(report_of({"tuned": rows}), rows)
    page = Page(text)
    assert _ATTACK not in text
    assert html.escape(_ATTACK) in text, "the tag among the choices of the filter"
    assert [a.get("type") for a in page.all("script")] == ["application/json", None]
    assert page.all("img") == []
    (row,) = (row for row in embedded_rows(text) if row["id"] == _ATTACK)
    assert row["answers"]["tuned"]["votes"][0][-1] == row["prompt"] == _ATTACK


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


_SET = """
const field = document.querySelector(`#filters [name=${arguments[0]}]`);
field.value = arguments[1];
field.dispatchEvent(new Event('input', {bubbles: true}));
return document.getElementById('count').textContent;
"""
_IDS = "return [...document.querySelectorAll('#table tr.row button')].map(b => b.textContent)"
_OPEN = "return document.querySelector('#table [aria-expanded=true]')?.textContent"


@pytest.fixture
def shown(browser, tmp_path):
    """Opens a page from disk at a width."""

    def open_at(text, width, fragment=""):
        file = tmp_path / "evaluation.html"
        file.write_text(text, encoding="utf-8")
        browser.open(file.as_uri() + fragment, width)
        assert {url.partition("#")[0] for url in browser.requested()} <= {file.as_uri()}
        return browser

    return open_at


@pytest.mark.slow
def test_filters_show_what_fits_and_stand_in_the_address(shown, text, verdicts):
    browser = shown(text, 1280)
    rows = verdicts["tuned"]
    seed = [row for row in rows if row.split == "seed"]
    missed = [row for row in seed if not row.covered and row.scored]
    tag = next(tag for row in missed for tag in row.tags)
    tagged = [row for row in missed if tag in row.tags]
    for name, value, left in (
        ("split", "seed", seed),
        ("verdict", "not covered", missed),
        ("tag", tag, tagged),
    ):
        assert browser.run(_SET, name, value) == f"{len(left)} of 40 shown"
    assert sorted(browser.run(_IDS)) == sorted(row.id for row in tagged)
    again = shown(text, 1280, browser.run("return location.hash"))
    assert sorted(again.run(_IDS)) == sorted(row.id for row in tagged)
    assert again.complaints() == []


@pytest.mark.slow
def test_rows_are_found_by_what_needs_a_look(shown, text, verdicts, evaluation):
    browser = shown(text, 1280)
    report, _ = evaluation
    served = {row.id for row in verdicts["service"] if row.covered}
    behind = {row.id for row in verdicts["tuned"] if not row.covered} & served
    wrong = {row.id for row in verdicts["tuned"] if '"not_' in row.response}
    for name, value, ids in (
        ("kind", "service", behind),
        ("kind", "gained", set(report.change.overall.gained_ids)),
        ("field", "category", wrong),
    ):
        browser.run(_SET, name, value)
        assert set(browser.run(_IDS)) == ids
        browser.run(_SET, name, "")
    browser.run("document.querySelector('[data-by=id] button').click()")
    assert browser.run(_IDS) == sorted(row.id for row in verdicts["tuned"])


@pytest.mark.slow
@pytest.mark.parametrize(("width", "columns"), [(1280, 5), (390, 1)], ids=["1280", "390"])
def test_a_row_has_an_address_and_opens_with_the_difference_marked(
    shown, text, verdicts, width, columns
):
    row = next(row for row in verdicts["tuned"] if '"not_' in row.response)
    browser = shown(text, width, f"#{row.id}")
    assert browser.run(_OPEN) == row.id
    lefts = browser.run(
        "return [...document.querySelector('.answers').children]"
        ".map(e => Math.round(e.getBoundingClientRect().left))"
    )
    assert len(lefts) == 5, "reference, tuned, untuned, untuned with examples, service"
    assert len(set(lefts)) == columns
    marks = "return [...document.querySelectorAll('.tuned mark')].map(m => m.textContent)"
    assert browser.run(marks) == [f"not_{json.loads(row.output)['category']}"]
    assert browser.overflow() == 0
    assert browser.complaints() == []


@pytest.mark.slow
def test_the_other_right_answers_are_drawn_and_found(shown, report_of, verdicts):
    first, *others = verdicts["tuned"]
    rows = [dataclasses.replace(first, references=("Another way.", _ATTACK)), *others]
    browser = shown(render_evaluation(report_of({"tuned": rows}), rows), 1280, f"#{first.id}")
    drawn = browser.run("return document.querySelector('.answers .reference').innerText")
    assert drawn.count("Also right") == 2
    assert "Another way." in drawn
    assert _ATTACK in drawn
    assert browser.run(_SET, "text", "another way") == "1 of 40 shown"
    assert browser.complaints() == []


@pytest.mark.slow
def test_two_thousand_prompts_are_drawn_a_page_at_a_time(shown, report_of, verdicts):
    many = {
        model: [
            dataclasses.replace(row, id=f"{row.id}-{copy}") for copy in range(50) for row in rows
        ]
        for model, rows in verdicts.items()
    }
    every = [row for rows in many.values() for row in rows]
    browser = shown(render_evaluation(report_of(many), every), 1280)
    nodes = "return document.querySelectorAll('*').length"
    assert browser.run("return document.getElementById('count').textContent") == (
        "2000 of 2000 shown"
    )
    assert browser.run(nodes) < 3000
    first = browser.run(_IDS)
    browser.run("document.getElementById('later').click()")
    assert not set(first) & set(browser.run(_IDS))
    browser.run("document.querySelector('#table tr.row button').click()")
    assert browser.run(nodes) < 3000


@pytest.mark.slow
def test_what_is_shown_can_be_downloaded(shown, text, verdicts):
    browser = shown(text, 1280)
    browser.run(
        "window.parts = []; const make = URL.createObjectURL.bind(URL);"
        "URL.createObjectURL = blob => { window.parts.push(blob); return make(blob); }"
    )
    browser.run(_SET, "split", "seed")
    for name in ("as-csv", "as-json"):
        browser.run(f"document.getElementById('{name}').click()")
    table, rows = browser.execute_async_script(
        "const done = arguments[0]; Promise.all(window.parts.map(part => part.text())).then(done)"
    )
    seed = sorted(row.id for row in verdicts["tuned"] if row.split == "seed")
    assert sorted(row["id"] for row in csv.DictReader(io.StringIO(table))) == seed
    assert sorted(row["id"] for row in json.loads(rows)) == seed


@pytest.mark.slow
def test_a_print_leaves_the_rows_out(shown, text):
    browser = shown(text, 1280)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert browser.run("return document.getElementById('prompts').offsetHeight") == 0


@pytest.mark.slow
def test_axe_finds_nothing_while_a_row_is_open(browser, text, verdicts, tmp_path):
    file = tmp_path / "evaluation.html"
    file.write_text(text, encoding="utf-8")
    url = f"{file.as_uri()}#{verdicts['tuned'][0].id}"
    assert browser.audit(url, "document.querySelector('[aria-expanded=true]')") == []


@pytest.mark.slow
def test_texts_of_both_directions_keep_their_own(shown, report_of, verdicts):
    hebrew = "\u05e9\u05dc\u05d5\u05dd (3)"
    first, *others = verdicts["tuned"]
    rows = [dataclasses.replace(first, prompt=hebrew, response=hebrew), *others]
    browser = shown(render_evaluation(report_of({"tuned": rows}), rows), 1280, f"#{first.id}")
    directions = browser.run(
        "return [...document.querySelectorAll('.detail .text')]"
        ".map(e => [e.textContent === arguments[0], getComputedStyle(e).direction])", hebrew,
    )  # fmt: skip
    assert sorted(map(tuple, directions)) == [(False, "ltr"), (True, "rtl"), (True, "rtl")]
