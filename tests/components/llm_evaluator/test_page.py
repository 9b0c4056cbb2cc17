"""The evaluation page: its figures are the report's, and what models wrote stays text."""

import dataclasses
import html
import json

import pytest

from components.llm_evaluator.calibration import JudgeErrors
from components.llm_evaluator.evaluate import Previous, report_on
from components.llm_evaluator.page.render import render_evaluation
from components.llm_evaluator.page.wording import MODEL_NAMES, STAND_IN_NOTICE, comparison
from components.llm_evaluator.report import judge_section
from components.llm_evaluator.settings import EvaluatorSettings
from tests.evaluation import coverage_rows, verdicts_of
from tests.html_page import Page, rate_text

_PARTS = ("holdout", "seed", "overall")
_SHARES = {"tuned": 0.85, "base": 0.05, "few_shot": 0.3, "service": 0.95}
_ATTACK = "</p><script>alert(1)</script><img src=x onerror=alert(2)>"
_AGREEMENT = {
    "rows": 100,
    "agree_percent": 88.0,
    "kappa": 0.71,
    "kappa_low": 0.57,
    "kappa_high": 0.85,
}


@pytest.fixture(scope="module")
def verdicts():
    return verdicts_of(coverage_rows(40), _SHARES, seed=2)


@pytest.fixture(scope="module")
def report_of():
    """Makes a report as the executor writes it."""

    def make(verdicts, *, earlier=None, calibration=None, **settings):
        made = EvaluatorSettings(**settings)
        judge = judge_section("gemini", "stand-in-1", made)
        previous = Previous({"round": 1, "judge": judge}, earlier) if earlier else None
        found, _ = report_on(
            verdicts, made, judge_section=judge, previous=previous, calibration=calibration
        )
        usage = {"calls": 640, "prompt_tokens": 1, "output_tokens": 1, "cost_usd": 0.0421}
        return {
            "task": "support_triage", "round": 2, **found, "usage": usage, "stand_in": True,
        }  # fmt: skip

    return make


@pytest.fixture(scope="module")
def evaluation(verdicts, report_of):
    """Report and verdict rows of a second round with human labels."""
    earlier = verdicts_of(coverage_rows(40), {"tuned": 0.5}, seed=1)["tuned"]
    section = {
        "labels": 100,
        "agreement": _AGREEMENT | {"both": 60, "neither": 28, "only_first": 4, "only_second": 8},
        "sensitivity_percent": 93.75,
        "specificity_percent": 77.78,
    }
    errors = JudgeErrors(positives=64, found=60, negatives=36, rejected=28)
    report = report_of(verdicts, earlier=earlier, calibration=(errors, section))
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
        rates = [rate_text(report["models"][model][part]) for part in _PARTS]
        row = next(row for row in page.rows if row and row[0] == name)
        assert row[1:4] == rates
        if model != "tuned":
            assert row[4].startswith(comparison(report["baselines"][model]["holdout"]["change"]))
    relative = report["baselines"]["service"]["holdout"]["relative"]
    row = next(row for row in page.rows if row and row[0] == MODEL_NAMES["service"])
    assert f"{relative['percent']:.1f} % of its coverage" in row[4]


def test_the_change_since_the_round_before_is_tested_and_marked(text, evaluation):
    report, _ = evaluation
    change = report["change"]
    assert change["overall"]["gained_ids"]
    told = comparison(change["holdout"])
    assert f"Against round 1 on holdout, by McNemar's exact test: {told}." in text
    assert text.count("gained since round 1") == change["overall"]["gained"]
    assert text.count("lost since round 1") == change["overall"]["lost"]


def test_scorers_stand_beside_the_judge_with_their_agreement(page, evaluation):
    report, _ = evaluation
    for name, label in (("exact_match", "exact match"), ("rouge_l", "ROUGE-L")):
        section = report["scorers"][name]
        row = next(row for row in page.rows if row and row[0] == label)
        assert row[2:5] == [rate_text(section["models"]["tuned"][part]) for part in _PARTS]
        assert row[6:] == [
            str(section["agreement"]["only_first"]), str(section["agreement"]["only_second"]),
        ]  # fmt: skip


def test_labels_show_kappa_and_the_corrected_rates(page, text, evaluation):
    report, _ = evaluation
    assert "100 responses were labelled by people." in text
    assert "Cohen&#39;s kappa 0.71, 0.57 to 0.85" in text
    assert "93.8 % (sensitivity)" in text
    for model, name in MODEL_NAMES.items():
        rates = report["calibration"]["corrected"][model]
        wanted = [
            f"{r['rate_percent']:.1f} % {r['low_percent']:.1f} % to {r['high_percent']:.1f} %"
            for r in (rates[part] for part in _PARTS)
        ]
        assert [name, *wanted] in page.rows


def test_without_labels_the_page_says_how_to_make_some(verdicts, report_of):
    text = render_evaluation(report_of(verdicts), verdicts["tuned"])
    assert "python -m components.llm_evaluator.sample_labels" in text


def test_labels_that_cannot_correct_say_so(verdicts, report_of):
    section = {
        "labels": 2,
        "agreement": _AGREEMENT | {"only_first": 0, "only_second": 0, "kappa": None},
        "sensitivity_percent": 100.0,
        "specificity_percent": None,
    }
    errors = JudgeErrors(positives=2, found=2, negatives=0, rejected=0)
    text = render_evaluation(report_of(verdicts, calibration=(errors, section)), verdicts["tuned"])
    assert "cannot be corrected with these labels" in text
    assert "kappa not defined" in text


def test_every_prompt_stands_beside_all_answers_with_votes_and_reasons(page, text, evaluation):
    _, rows = evaluation
    articles = page.all("article")
    assert len(articles) == 40
    per_model = [a["class"] for a in page.all("div") if a.get("class", "").startswith("answer ")]
    assert per_model == [f"answer {model}" for model in MODEL_NAMES] * 40
    assert sum(a.get("class") == "desired" for a in page.all("div")) == 40
    votes = sum(len(row.votes) for row in rows)
    assert text.count("stood first") + text.count("stood second") == votes > 0
    assert text.count("0 of 2 votes could be read (refused).") == 1
    verdicts = [a["data-verdict"] for a in articles]
    assert verdicts == sorted(verdicts, key=["not covered", "unscored", "covered"].index)


def test_an_order_that_decides_and_a_doubtful_output_are_told(verdicts, report_of):
    rows = {model: list(found) for model, found in verdicts.items()}
    votes = rows["tuned"][0].votes
    swayed = (
        dataclasses.replace(votes[0], similarity=5, precision=5, output_precision=1),
        dataclasses.replace(votes[1], similarity=1, precision=1, output_precision=1),
    )
    for model, found in rows.items():
        found[0] = dataclasses.replace(found[0], response=model, votes=swayed)
    text = render_evaluation(report_of(rows), rows["tuned"])
    assert "The order decided the verdict on 4 of " in text
    assert f"Look at {rows['tuned'][0].id}." in text


def test_what_models_and_users_wrote_is_escaped(verdicts, report_of):
    names = ("id", "split", "prompt", "output", "response", "reason")
    hostile = dict.fromkeys(names, _ATTACK) | {"tags": (_ATTACK, '"quoted"')}
    votes = tuple(dataclasses.replace(vote, reason=_ATTACK) for vote in verdicts["tuned"][0].votes)
    row = dataclasses.replace(verdicts["tuned"][0], votes=votes, **hostile)
    rows = [row, *verdicts["tuned"][1:]]
    text = render_evaluation(report_of({"tuned": rows}), rows)
    page = Page(text)
    assert _ATTACK not in text
    assert text.count(html.escape(_ATTACK)) >= 8
    assert len(page.all("script")) == 1
    assert page.all("img") == []
    assert _ATTACK in [t for a in page.all("article") for t in json.loads(a["data-tags"])]


def test_a_stand_in_is_named(text, evaluation):
    report, rows = evaluation
    assert STAND_IN_NOTICE in text
    assert STAND_IN_NOTICE not in render_evaluation(report | {"stand_in": False}, rows)


_SET = """
const field = document.querySelector(`#filters [name=${arguments[0]}]`);
field.value = arguments[1];
field.dispatchEvent(new Event('input', {bubbles: true}));
return document.getElementById('count').textContent;
"""


@pytest.fixture
def shown(browser, text, tmp_path):
    """Opens the page from disk at a width."""

    def open_at(width):
        file = tmp_path / "evaluation.html"
        file.write_text(text, encoding="utf-8")
        browser.open(file.as_uri(), width)
        assert browser.requested() == [file.as_uri()], "no request but for the file itself"
        return browser

    return open_at


@pytest.mark.slow
def test_filters_by_verdict_split_and_tag_show_what_fits(shown, verdicts):
    browser = shown(1280)
    rows = verdicts["tuned"]
    seed = [row for row in rows if row.split == "seed"]
    missed = [row for row in seed if not row.covered and row.scored]
    tag = next(tag for row in missed for tag in row.tags)
    for name, value, left in (
        ("split", "seed", seed),
        ("verdict", "not covered", missed),
        ("tag", tag, [row for row in missed if tag in row.tags]),
    ):
        assert browser.run(_SET, name, value) == f"{len(left)} of 40 shown"
        assert browser.run("return document.querySelectorAll('article:not([hidden])').length") == (
            len(left)
        )


@pytest.mark.slow
@pytest.mark.parametrize(("width", "columns"), [(1280, 5), (390, 1)], ids=["1280", "390"])
def test_answers_stand_side_by_side_where_there_is_room(shown, width, columns):
    browser = shown(width)
    lefts = browser.run(
        "return [...document.querySelector('.answers').children]"
        ".map(e => Math.round(e.getBoundingClientRect().left))"
    )
    assert len(lefts) == 5, "desired, tuned, untuned, untuned with examples, service"
    assert len(set(lefts)) == columns
    assert browser.overflow() == 0
    assert browser.complaints() == []
