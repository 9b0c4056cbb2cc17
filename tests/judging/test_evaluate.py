import dataclasses

import pytest

from core.errors import UserError
from core.reports.rates import SPLITS
from judging.evaluate import evaluate
from judging.labels import Label
from judging.report import Previous, describe_judge
from judging.requests import JudgedResponse


@pytest.fixture
def run(service, builder):
    def run(responses, llm=None, previous=None, labels=(), embed=None, **settings):
        made = builder(**({"baselines": ["base"]} | settings))
        return evaluate(
            responses,
            llm or service(),
            made,
            described=describe_judge("gemini", "judge-1", made.settings),
            embed=embed,
            labels=labels,
            previous=previous,
        )

    return run


@pytest.fixture
def rows(response_row):
    """Ten prompts, three of them seeds; the first `covered` are answered rightly."""

    def make(covered):
        return [
            response_row(
                str(n),
                "Paris" if n < covered else "Rome",
                split="seed" if n % 4 == 0 else "holdout",
                tags=("short",) if n % 2 else (),
            )
            for n in range(10)
        ]

    return make


def test_every_model_is_rated_on_every_split_and_tag(run, rows):
    report = run({"tuned": rows(9), "base": rows(2)}).findings
    counts = {
        model: {split: (rates[split].covered, rates[split].total) for split in SPLITS}
        for model, rates in report.models.items()
    }
    assert counts == {
        "tuned": {"overall": (9, 10), "seed": (3, 3), "holdout": (6, 7)},
        "base": {"overall": (2, 10), "seed": (1, 3), "holdout": (1, 7)},
    }
    assert report.models["tuned"].tags["short"].total == 5


def test_the_gate_is_reported_with_what_decided_it(run, rows):
    evaluation = run({"tuned": rows(9)}, gate={"split": "overall", "threshold_percent": 90})
    assert evaluation.findings.gate.passed
    assert evaluation.findings.gate.value_percent == 90.0
    assert evaluation.findings.gate.passed is True
    assert evaluation.findings.gate.reasons[0].startswith("The coverage rate on overall reaches")


@pytest.mark.parametrize("scorer", ["exact_match", "rouge_l"])
def test_a_free_scorer_may_be_the_gate(run, rows, service, scorer):
    def refuses(request):
        return "refused"

    gate = {"split": "overall", "threshold_percent": 90, "scorer": scorer}
    evaluation = run({"tuned": rows(9)}, service(refuses), gate=gate)
    assert evaluation.findings.gate.passed, "the judge said nothing, the scorer decides"
    assert evaluation.findings.models["tuned"].overall.unscored == 10
    assert scorer in evaluation.findings.gate.reasons[0]


def test_a_gate_by_embeddings_without_a_model_is_refused_before_anything_is_paid(
    run, rows, service
):
    llm = service()
    with pytest.raises(UserError, match="embedder"):
        run({"tuned": rows(9)}, llm, gate={"scorer": "embedding"})
    assert llm.requests == []


def test_the_report_holds_the_scorer_by_embeddings_where_there_is_a_model(run, rows):
    assert "embedding" not in run({"tuned": rows(9)}).findings.scorers
    found = run({"tuned": rows(9)}, embed=lambda texts: [[1.0, text == "Paris"] for text in texts])
    assert found.findings.scorers["embedding"].models["tuned"].overall.covered == 9


def test_json_fields_is_a_gate_where_outputs_are_json(run, response_row, json_object):
    rows = [
        response_row(str(n), json_object(a=1, b=n % 2), output=json_object(a=1, b=1))
        for n in range(4)
    ]
    gate = {"scorer": "json_fields", "threshold_percent": 50}
    assert run({"tuned": rows}, gate=gate).findings.gate.rate.rate_percent == 50.0
    assert (
        run({"tuned": rows}, gate=gate, json_fields_threshold=0.5).findings.gate.rate.rate_percent
        == 100
    )


def test_the_report_shows_how_far_the_judge_agrees_with_the_scorers(run, rows):
    section = run({"tuned": rows(9), "base": rows(2)}).findings.scorers
    agreement = section["exact_match"].agreement
    assert (agreement.rows, agreement.kappa) == (20, 1.0)
    assert section["json_fields"].agreement.rows == 0, "the outputs are not JSON"


def test_a_verdict_row_holds_response_votes_and_scores(run, rows):
    first, *_ = run({"tuned": rows(9)}).rows
    assert (first.model, first.id, first.covered, len(first.votes)) == ("tuned", "0", True, 2)
    assert first.scores["exact_match"] == 1.0


def test_the_service_llm_is_judged_beside_the_models(run, rows, service):
    llm = service()
    report = run({"tuned": rows(5)}, llm, baselines=["service"]).findings
    assert report.models["service"].overall.rate_percent == 100.0
    relative = report.baselines["service"].overall.relative
    assert relative.percent == 50.0
    assert len(llm.sent("Answer")) == 10


def test_the_service_llms_refusal_is_an_answer_that_covers_nothing(run, rows, service):
    def refuses_to_answer(request):
        if request.schema.__name__ == "Answer":
            return "refused"
        return {"reason": "r", "similarity": 1, "correctness_a": 1, "correctness_b": 1}

    report = run({"tuned": rows(5)}, service(refuses_to_answer), baselines=["service"]).findings
    assert report.models["service"].overall.covered == 0


def test_models_with_the_same_response_share_its_verdict_and_its_cost(run, rows, service):
    llm = service()
    run({"tuned": rows(5), "base": rows(5)}, llm)
    assert len(llm.requests) == 20, "ten responses, two votes each"


def test_the_change_from_the_round_before_is_tested(run, rows):
    before = run({"tuned": rows(2)})
    previous = Previous(1, before.findings.judge, before.rows)
    change = run({"tuned": rows(9)}, previous=previous).findings.change
    assert (change.previous_round, change.same_judge) == (1, True)
    assert (change.overall.gained, change.overall.lost) == (7, 0)
    assert change.overall.significant


def test_a_change_of_the_judge_is_said_beside_the_change_of_the_model(run, rows):
    before = run({"tuned": rows(2)}, similarity_threshold=3)
    previous = Previous(1, before.findings.judge, before.rows)
    assert run({"tuned": rows(9)}, previous=previous).findings.change.same_judge is False


def test_without_an_earlier_round_there_is_no_change(run, rows):
    assert run({"tuned": rows(9)}).findings.change is None


def test_human_labels_correct_the_rate(run, rows, response_row):
    responses = [response_row(str(n), "Paris" if n < 60 else "Rome") for n in range(100)]
    labels = [
        # People accept one answer in four that the judge rejects.
        Label(JudgedResponse(r.prompt, r.output, r.response), n < 60 or n % 4 == 0)
        for n, r in enumerate(responses)
    ]
    calibration = run({"tuned": responses}, labels=labels).findings.calibration
    corrected = calibration.corrected["tuned"].holdout
    assert corrected.rate_percent == pytest.approx(70.0)
    assert corrected.low_percent < 70 < corrected.high_percent
    assert calibration.agreement.agree_percent == 90.0


def test_a_labelled_response_of_an_earlier_round_is_judged_too(run, rows, service):
    llm = service()
    old = Label(JudgedResponse("Capital of Peru?", "Lima", "Lima"), True)
    calibration = run({"tuned": rows(9)}, llm, labels=[old]).findings.calibration
    assert calibration.labels == 1
    assert len(llm.requests) == 22


def test_votes_show_how_steady_the_judge_is(run, rows, service):
    def likes_first(request):
        return {"reason": "r", "similarity": 5, "correctness_a": 5, "correctness_b": 1}

    steady = run({"tuned": rows(9)}).findings.consistency
    swayed = run({"tuned": rows(9)}, service(likes_first)).findings.consistency
    assert (steady.responses, steady.order_flips) == (10, 0)
    assert swayed.order_flips == 10


def test_a_desired_output_that_the_judge_rejects_is_listed(run, rows, service, blocks_of):
    def rejects_seven(request):
        blocks = blocks_of(request.prompt)
        score = 1 if "of 7?" in blocks["prompt"][0] else 5
        return {"reason": "r", "similarity": 5, "correctness_a": score, "correctness_b": score}

    consistency = run({"tuned": rows(9)}, service(rejects_seven)).findings.consistency
    assert consistency.suspect_references == ("7",)


def test_a_gate_on_a_split_without_rows_is_refused(run, response_row):
    with pytest.raises(UserError, match="holdout"):
        run({"tuned": [response_row("1", "Paris", split="seed")]})


def test_several_samples_of_a_prompt_are_each_judged(run, response_row):
    rows = [response_row("1", answer, sample=n) for n, answer in enumerate(["Paris", "Rome"])]
    overall = run({"tuned": rows}).findings.models["tuned"].overall
    assert (overall.covered, overall.total, overall.prompts) == (1, 2, 1)


def test_the_best_of_several_right_answers_by_vector_counts_for_the_embedding(run, response_row):
    """Closest by words is one answer, by meaning another one."""
    vectors = {"It opens at nine": [1.0, 0.0], "Doors: 9:00": [0.0, 1.0]}
    response = "It opens when doors do"
    row = response_row("1", response, split="holdout")
    row = dataclasses.replace(row, output="It opens at nine", references=("Doors: 9:00",))

    def embed(texts):
        return [vectors.get(text, [0.6, 0.8]) for text in texts]

    (found,) = run({"tuned": [row]}, embed=embed, baselines=[]).rows
    assert found.output == "It opens at nine"
    assert found.scores["embedding"] == 0.8
    assert found.scores["rouge_l"] == pytest.approx(4 / 9, abs=1e-3)
