import random

import pytest

from core.records import Vote
from judging.calibration import JudgeErrors, calibrate, corrected_rate
from judging.labels import Label
from judging.requests import JudgedResponse
from judging.verdicts import Judgement

_RUNS = 3000


def test_the_correction_undoes_known_errors():
    # 60 % covered, found in 90 %, rejected in 80 %: the judge sees .6 * .9 + .4 * .2 = 62 %.
    errors = JudgeErrors(positives=1000, found=900, negatives=1000, rejected=800)
    found = corrected_rate(0.62, 1000, errors)
    assert found.rate_percent == pytest.approx(60.0)
    assert found.low_percent < 60 < found.high_percent


@pytest.mark.parametrize(
    ("sensitivity", "specificity"),
    [(0.95, 0.95), (0.9, 0.7), (0.8, 0.9)],
    ids=["good judge", "lenient judge", "harsh judge"],
)
def test_the_corrected_interval_holds_the_true_rate(sensitivity, specificity):
    generator = random.Random(7)

    def draw(count, share):
        return sum(generator.random() < share for _ in range(count))

    hits = total = 0
    for _ in range(_RUNS):
        truth = generator.uniform(0.3, 0.9)
        seen = draw(120, truth * sensitivity + (1 - truth) * (1 - specificity)) / 120
        errors = JudgeErrors(60, draw(60, sensitivity), 40, draw(40, specificity))
        found = corrected_rate(seen, 120, errors)
        hits += found.low_percent <= 100 * truth <= found.high_percent
        total += 1
    assert 0.93 <= hits / total <= 0.98, f"{hits / total:.3f}"


@pytest.mark.parametrize(
    "errors",
    [
        pytest.param(JudgeErrors(0, 0, 10, 9), id="no positive label"),
        pytest.param(JudgeErrors(10, 9, 0, 0), id="no negative label"),
        pytest.param(JudgeErrors(10, 5, 10, 5), id="judge like a coin"),
        pytest.param(JudgeErrors(1, 1, 4, 1), id="one label of a kind, and little better"),
        pytest.param(JudgeErrors(5, 1, 1, 1), id="the same the other way round"),
    ],
)
def test_nothing_is_corrected_where_nothing_is_known(errors):
    assert corrected_rate(0.8, 100, errors) is None


def _judgement(covered, scored=True):
    return Judgement(covered, scored, None, None, "", (Vote(3, 3, 5, "", "a"),) if scored else ())


def test_labels_show_how_often_the_judge_is_right():
    cases = [(True, True)] * 6 + [(True, False)] * 2 + [(False, False)] * 3 + [(False, True)]
    labels = [Label(JudgedResponse(str(n), "o", "r"), human) for n, (human, _) in enumerate(cases)]
    judged = {
        label.judged: _judgement(judge) for label, (_, judge) in zip(labels, cases, strict=True)
    }
    errors, agreed = calibrate(labels, judged)
    assert errors == JudgeErrors(positives=8, found=6, negatives=4, rejected=3)
    assert (errors.sensitivity, errors.specificity) == (0.75, 0.75)
    assert agreed.rows == 12
    assert agreed.only_first == 2


def test_a_labelled_response_that_cannot_be_scored_counts_as_not_covered():
    label = Label(JudgedResponse("p", "o", "r"), True)
    errors, _ = calibrate([label], {label.judged: _judgement(False, scored=False)})
    assert (errors.positives, errors.found) == (1, 0)
