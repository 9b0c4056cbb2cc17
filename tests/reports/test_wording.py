import pytest

from core.reports.coverage import Agreement, Change, ChangeSince, Gate
from core.reports.last_look import LastLook
from core.reports.rates import Rate, RelativeRate
from reports.wording import (
    agreement,
    caveat,
    comparison,
    dollars,
    headline,
    headline_detail,
    holdout_note,
    number,
    per_second,
    relative,
    report_headline,
    since,
)
from tests.records import coverage_report, rates
from tests.records import rate as _rate


def _gate(passed, rate, low, high, **changes):
    values = {
        "split": "holdout",
        "statistic": "point",
        "scorer": "judge",
        "passed": passed,
        "threshold_percent": 80.0,
        "value_percent": rate,
        "reasons": (),
        "rate": Rate(
            rate_percent=rate,
            low_percent=low,
            high_percent=high,
            covered=7,
            total=10,
            unscored=0,
            prompts=10,
        ),
    }
    return Gate(**(values | changes))


@pytest.mark.parametrize(
    ("gate", "expected"),
    [
        pytest.param(
            _gate(False, 70.0, 39.7, 89.2),
            "The tuned model of round 3 stays below the threshold of 80 %: it covers 70.0 % of the "
            "holdout prompts (7 of 10, 95 % interval 39.7 to 89.2 %).",
            id="below",
        ),
        pytest.param(
            _gate(
                True,
                72.0,
                60.0,
                80.0,
                threshold_percent=71.2,
                relative_threshold_percent=90.0,
                relative=RelativeRate(prompts=10, percent=91.0, low_percent=85, high_percent=97),
            ),
            "The tuned model of round 3 reaches the threshold of 90 % of the service LLM's own "
            "rate: it covers 72.0 % of the holdout prompts (7 of 10, 95 % interval 60.0 to 80.0 "
            "%).",
            id="relative",
        ),
        pytest.param(
            _gate(True, 90.0, 81.0, 95.0, split="overall", statistic="lower", scorer="rouge_l"),
            "The tuned model of round 3 reaches the threshold of 80 %: it covers 90.0 % of the "
            "coverage prompts by ROUGE-L (7 of 10, 95 % interval 81.0 to 95.0 %; the gate uses "
            "the lower bound).",
            id="lower bound of a scorer",
        ),
    ],
)
def test_the_headline_says_it_in_a_sentence(gate, expected):
    assert headline(gate, 3).replace("\u00a0", " ") == expected


def test_a_threshold_inside_the_interval_is_pointed_out():
    told = caveat(_gate(False, 70.0, 39.7, 89.2))
    assert told.startswith("On the holdout the threshold lies inside the interval: with 10 answers")
    assert "chance alone" in told
    told = caveat(_gate(False, 70.0, 39.7, 89.2, split="overall"))
    assert told.startswith("Over all prompts the threshold")
    assert caveat(_gate(True, 95.0, 85.0, 99.0)) is None
    ratio = RelativeRate(prompts=10, percent=91.0, low_percent=85, high_percent=97)
    relative_gate = {"relative_threshold_percent": 90.0, "relative": ratio}
    assert "chance alone" in caveat(_gate(True, 95.0, 85.0, 99.0, **relative_gate))
    relative_gate["relative_threshold_percent"] = 80.0
    assert caveat(_gate(False, 70.0, 39.7, 89.2, **relative_gate)) is None


_CHANGE = Change(
    prompts=40,
    difference_points=4.5,
    gained=3,
    lost=1,
    p_value=0.625,
    significant=False,
    gained_ids=("1", "2", "3"),
    lost_ids=("4",),
)


def test_a_change_is_told_with_what_chance_may_do():
    assert comparison(_CHANGE) == (
        "+4.5 points; prompts gained 3, lost 1 (p = 0.625, which may be chance)"
    )
    sure = _CHANGE.model_copy(update={"p_value": 0.0001, "significant": True})
    assert comparison(sure) == "+4.5 points; prompts gained 3, lost 1 (p < 0.001)"


def test_a_change_of_the_judge_is_told():
    assert since(None, "holdout") == ""
    change = ChangeSince(
        previous_round=1, same_judge=True, overall=_CHANGE, seed=_CHANGE, holdout=_CHANGE
    )
    assert since(change, "holdout") == comparison(_CHANGE)
    other = change.model_copy(update={"same_judge": False})
    assert "another judge" in since(other, "holdout")


def test_the_share_of_the_ceiling_is_told_with_its_interval():
    value = RelativeRate(prompts=40, percent=92.5, low_percent=84.0, high_percent=101.2)
    assert relative(value) == "92.5 % of its coverage (84.0 % to 101.2 %)"
    assert relative(RelativeRate(prompts=40)) == ""


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "90.0 % of 100 equal; Cohen's kappa 0.80, 0.68 to 0.92"),
        ({"kappa": None}, "90.0 % of 100 equal; Cohen's kappa not defined"),
        ({"rows": 0}, "no response that both decide"),
    ],
    ids=["known", "no kappa", "no rows"],
)
def test_agreement_is_told(changes, text):
    value = Agreement(
        rows=100,
        both=60,
        neither=30,
        only_first=5,
        only_second=5,
        agree_percent=90.0,
        kappa=0.8,
        kappa_low=0.68,
        kappa_high=0.92,
    )
    assert agreement(value.model_copy(update=changes)) == text


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        (dollars, None, "price unknown"),
        (dollars, 0.0, "$0.00"),
        (dollars, 0.0123, "$0.0123"),
        (dollars, 1234.5, "$1,234.50"),
        (number, None, "-"),
        (number, 12345, "12,345"),
        (number, 12345.6, "12,346"),
        (number, 0.21344, "0.2134"),
        (per_second, None, "-"),
        (per_second, 0.0, "0"),
        (per_second, 0.04567, "0.0457"),
        (per_second, 8.5708, "8.57"),
        (per_second, 99.96, "100"),
        (per_second, 12345.6, "12,300"),
    ],
)
def test_numbers_are_written_for_people(function, value, text):
    assert function(value) == text


def _looked(looks, rate_percent=71.0):
    same = _rate(10, 20, 30.0, 70.0)
    of_test = Rate(
        rate_percent=rate_percent, low_percent=64.3, high_percent=76.8, covered=142, total=200,
        unscored=0, prompts=200,
    )  # fmt: skip
    look = LastLook(
        holdout_looks=looks,
        models={"tuned": of_test},
        relative=RelativeRate(prompts=200, percent=95.0, low_percent=88, high_percent=102),
        threshold_percent=67.4,
        reached=True,
    )
    models = {"tuned": rates(same, same, same)}
    return coverage_report(models, last_look=look, gate={"relative_threshold_percent": 90.0})


def test_where_a_test_split_was_judged_the_headline_is_its_rate():
    told = report_headline(_looked(3)).replace("\u00a0", " ")
    assert told == (
        "The tuned model of round 2 reaches the threshold: it covers 71.0 % of the test prompts."
    )
    assert headline_detail(_looked(3)).replace("\u00a0", " ") == (
        "That is 142 of 200 prompts that no round of this run had looked at (95 % interval 64.3 to "
        "76.8 %), and 95.0 % of the service LLM's own rate there (88.0 % to 102.0 %). The "
        "threshold is 90 % of the service LLM's own rate."
    )
    sealed = coverage_report(_looked(3).models, last_look=None)
    assert report_headline(sealed) == headline(sealed.gate, 2)
    assert headline_detail(sealed) is None, "that headline has them itself"


def test_it_is_said_how_often_the_holdout_was_looked_at():
    assert "3 rounds of this run were judged on it and one was kept" in holdout_note(_looked(3))
    assert "this run chose nothing by it" in holdout_note(_looked(1))
    assert holdout_note(coverage_report(_looked(1).models)) is None
