"""Strict rates, unjudged matches and sheets of labels in the findings of an evaluation."""

import dataclasses
import json
import random

import pytest

from judging.evaluate import evaluate
from judging.label_order import label_order, stratum_of
from judging.label_sheet import Decision, Sheet, SheetRow, read_sheet, write_sheet
from judging.labels import read_labels
from judging.report import describe_judge
from judging.requests import JudgedResponse
from judging.sheet_rates import sheet_rate
from judging.strict import strict_kind

HALF = {"threshold_percent": 50}


@pytest.fixture
def run(service, builder):
    def run(responses, labels=(), sheet=None, llm=None, **settings):
        made = builder(**({"baselines": []} | settings))
        return evaluate(
            responses,
            llm or service(),
            made,
            described=describe_judge("gemini", "judge-1", made.settings),
            labels=labels,
            sheet=sheet,
        )

    return run


@pytest.fixture
def tickets(response_row):
    """Forty prompts, the first `right` of them answered as the reference."""

    def make(right=30):
        wanted, other = json.dumps({"priority": "low"}), json.dumps({"priority": "high"})
        return [
            response_row(str(n), wanted if n < right else other, output=wanted) for n in range(40)
        ]

    return make


def test_the_report_has_strict_rates_of_every_model(run, tickets):
    found = run({"tuned": tickets(30), "base": tickets(10)}, baselines=["base"]).findings
    rates = {model: strict.holdout.rate.rate_percent for model, strict in found.strict.items()}
    assert rates == {"tuned": 75, "base": 25}
    assert found.strict["tuned"].holdout.fields["priority"].accuracy.covered == 30


def test_free_text_has_no_strict_rates_in_the_report(run, response_row):
    rows = [response_row(str(n), "Paris", output=f"Text {n}") for n in range(8)]
    assert run({"tuned": rows}).findings.strict == {}


@pytest.mark.parametrize(
    "outputs",
    [
        pytest.param([json.dumps({"n": n}) for n in range(39)] + ["none"], id="one bad reference"),
        pytest.param([f"label {n % 6}" for n in range(40)], id="labels that a part hardly repeats"),
    ],
)
def test_all_references_decide_once_what_the_outputs_are(run, response_row, outputs):
    rows = [
        response_row(str(n), output, output=output, split="holdout" if n % 4 else "seed")
        for n, output in enumerate(outputs)
    ]
    found = run({"tuned": rows, "base": rows[-12:]}, baselines=["base"]).findings
    assert {found.strict[model].kind for model in ("tuned", "base")} == {found.strict["base"].kind}
    assert found.strict["base"].overall.rate.covered == 12


def test_rouge_l_is_not_shown_for_json_unless_it_is_the_gate(run, tickets):
    rows = {"tuned": tickets(5)}
    assert set(run(rows).findings.scorers) == {"exact_match", "json_fields"}
    assert "rouge_l" in run(rows, gate={"scorer": "rouge_l"}).findings.scorers


def test_exact_matches_that_were_not_judged_are_counted_and_left_out_of_kappa(run, tickets):
    judged = run({"tuned": tickets()}).findings
    skipped = run({"tuned": tickets()}, judge_exact_matches=False).findings
    assert (judged.consistency.not_judged, skipped.consistency.not_judged) == (0, 30)
    assert judged.scorers["json_fields"].agreement.rows == 40
    assert skipped.scorers["json_fields"].agreement.rows == 10
    assert skipped.models["tuned"].holdout == judged.models["tuned"].holdout


def test_people_agree_with_the_judge_only_where_it_judged(run, tickets):
    rows = tickets()
    text = write_sheet(
        Sheet(
            tuple(
                SheetRow(JudgedResponse.of(row), "both", {"ada": Decision("covered")})
                for row in rows
            )
        )
    )
    labels = read_labels(text, "labels.csv")
    found = run({"tuned": rows}, labels=labels, judge_exact_matches=False).findings.calibration
    assert (found.labels, found.agreement.rows) == (40, 10)


@pytest.fixture
def sheet_of(run, tickets):
    """A sheet in which people labelled the first answers as the strict scorer would."""

    def make(rows, count):
        verdicts = run({"tuned": rows}).rows
        kind = strict_kind({row.id: row.output for row in verdicts}.values())
        strata = {JudgedResponse.of(row): stratum_of(row, kind) for row in verdicts}
        order = label_order(strata, count)
        people = {
            judged: Decision("covered" if judged.response == judged.output else "not covered")
            for judged in order[:count]
        }
        return Sheet(
            tuple(
                SheetRow(
                    judged, strata[judged], {"ada": people[judged]} if judged in people else {}
                )
                for judged in order
            )
        )

    return make


def _labels(sheet):
    return read_labels(write_sheet(sheet), "labels.csv")


def test_a_label_sheet_gives_the_rate_that_people_would_find(run, tickets, sheet_of):
    sheet = sheet_of(tickets(), 20)
    findings = run({"tuned": tickets()}, labels=_labels(sheet), sheet=sheet).findings
    rate = findings.calibration.prediction_powered["tuned"].holdout
    assert rate.rate_percent == 75
    assert 50 < rate.low_percent < 75 < rate.high_percent < 95


def test_a_sheet_says_nothing_about_other_answers(run, tickets, sheet_of):
    sheet = sheet_of(tickets(), 20)
    rows = [
        dataclasses.replace(row, response=f"{row.response} ") if row.id == "0" else row
        for row in tickets()
    ]
    found = run({"tuned": rows}, labels=_labels(sheet), sheet=sheet).findings.calibration
    assert found.prediction_powered == {}
    assert found.corrected["tuned"].holdout is not None


def test_a_sheet_with_an_unlabelled_stratum_gives_no_rate(run, tickets, sheet_of):
    sheet = sheet_of(tickets(), 1)
    found = run({"tuned": tickets()}, labels=_labels(sheet), sheet=sheet).findings.calibration
    assert found.prediction_powered == {}


def test_what_people_leave_open_widens_the_rate_and_never_biases_it(verdict_row):
    """Of 160 rows people would cover none of 40 hard ones, and leave most of these open."""
    generator = random.Random(5)
    held = 0
    for _ in range(40):
        rows = [verdict_row(str(n), generator.random() < 0.8) for n in range(160)]
        hard = {row.id for row in rows[:40]}
        order = label_order({JudgedResponse.of(r): stratum_of(r, None) for r in rows}, 80)
        of = {JudgedResponse.of(row): row for row in rows}
        truth = 100 * sum(row.covered and row.id not in hard for row in rows) / len(rows)

        def people(row, hard=hard):
            if row.id in hard and generator.random() < 0.9:
                return Decision("unsure")
            return Decision("covered" if row.covered and row.id not in hard else "not covered")

        sheet = Sheet(
            tuple(
                SheetRow(j, stratum_of(of[j], None), {"ada": people(of[j])} if n < 80 else {})
                for n, j in enumerate(order)
            )
        )
        rate = sheet_rate(rows, sheet, None)
        held += rate.low_percent <= truth <= rate.high_percent
    assert held == 40


def test_contradictions_and_unsure_answers_are_counted_in_the_report(run, tickets, sheet_of):
    sheet = sheet_of(tickets(), 20)
    asked = [row.judged for row in sheet.rows if row.decisions]
    sheet = sheet.with_decision(asked[0], "ada", Decision("unsure"))
    sheet = sheet.with_decision(asked[1], "bob", Decision("not covered"))
    sheet = sheet.with_decision(asked[1], "ada", Decision("covered"))
    found = run({"tuned": tickets()}, labels=_labels(sheet), sheet=sheet).findings.calibration
    assert (found.labels, found.unsure) == (18, 2)
    before = sheet_of(tickets(), 20)
    sure = run({"tuned": tickets()}, labels=_labels(before), sheet=before).findings.calibration
    rate, narrow = (c.prediction_powered["tuned"].holdout for c in (found, sure))
    assert rate.low_percent < narrow.low_percent or rate.high_percent > narrow.high_percent
    assert sure.unsure == 0


def test_people_correct_the_rate_on_the_test_split(run, tickets, sheet_of):
    sealed = [
        dataclasses.replace(row, id=f"s{row.id}", prompt=f"Sealed {row.id}?", split="test")
        for row in tickets(30)
    ]
    sheet = sheet_of([dataclasses.replace(row, split="holdout") for row in sealed], 20)
    evaluation = run(
        {"tuned": [*tickets(40), *sealed]}, labels=_labels(sheet), sheet=sheet, gate=HALF
    )
    look = evaluation.last_look
    assert look.prediction_powered["tuned"].rate_percent == 75
    assert look.corrected["tuned"].rate_percent == 75
    assert evaluation.findings.calibration.prediction_powered == {}


def test_labels_of_a_prompt_with_several_right_answers_are_found_again(run, tickets, sheet_of):
    rows = [dataclasses.replace(row, references=('{"priority": "none"}',)) for row in tickets()]
    sheet = read_sheet(write_sheet(sheet_of(rows, 20)), "labels.csv")
    found = run({"tuned": rows}, labels=_labels(sheet), sheet=sheet).findings.calibration
    assert found.prediction_powered["tuned"].holdout.rate_percent == 75


@pytest.mark.parametrize(
    "written",
    ['```json\n{"priority": "low"}\n```', '{"priority":"low"}', ' {"priority": "low"}\n'],
    ids=["fence", "other spaces", "blank edges"],
)
def test_answers_of_the_service_are_cleaned_like_synthetic_outputs(run, tickets, service, written):
    def reply(request):
        if request.schema.__name__ == "Answer":
            return {"output": written}
        return {"reason": "x", "similarity": 5, "correctness_a": 5, "correctness_b": 5}

    rows = [
        dataclasses.replace(row, split="seed" if n % 2 else "holdout")
        for n, row in enumerate(tickets())
    ]
    evaluation = run({"tuned": rows}, llm=service(reply), baselines=["service"])
    answers = {row.response for row in evaluation.rows if row.model == "service"}
    assert answers == {'{"priority": "low"}'}
