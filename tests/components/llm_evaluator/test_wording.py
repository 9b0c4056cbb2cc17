import pytest

from components.llm_evaluator.page.wording import (
    agreement,
    caveat,
    comparison,
    dollars,
    headline,
    number,
    relative,
    since,
)


def _report(passed, rate, low, high, **gate):
    return {
        "round": 3,
        "gate": {
            "split": "holdout",
            "statistic": "point",
            "scorer": "judge",
            "passed": passed,
            "threshold_percent": 80.0,
            "rate": {
                "rate_percent": rate,
                "low_percent": low,
                "high_percent": high,
                "covered": 7,
                "total": 10,
            },
            **gate,
        },
    }


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        pytest.param(
            _report(False, 70.0, 39.7, 89.2),
            "The tuned model of round 3 stays below the threshold of 80 %: it covers 70.0 % of the "
            "holdout prompts (7 of 10, 95 % interval 39.7 to 89.2 %).",
            id="below",
        ),
        pytest.param(
            _report(True, 90.0, 81.0, 95.0, split="overall", statistic="lower", scorer="rouge_l"),
            "The tuned model of round 3 reaches the threshold of 80 %: it covers 90.0 % of the "
            "coverage prompts by ROUGE-L (7 of 10, 95 % interval 81.0 to 95.0 %; the lower end of "
            "the interval is what counts).",
            id="lower bound of a scorer",
        ),
    ],
)
def test_the_headline_says_it_in_a_sentence(report, expected):
    assert headline(report).replace("\u00a0", " ") == expected


def test_a_threshold_inside_the_interval_is_pointed_out():
    assert "chance alone" in caveat(_report(False, 70.0, 39.7, 89.2)["gate"])
    assert caveat(_report(True, 95.0, 85.0, 99.0)["gate"]) is None


_CHANGE = {
    "difference_points": 4.5,
    "gained": 3,
    "lost": 1,
    "p_value": 0.625,
    "significant": False,
}


def test_a_change_is_told_with_what_chance_may_do():
    assert comparison(_CHANGE) == (
        "+4.5 points; prompts gained 3, lost 1 (p = 0.625, which may be chance)"
    )
    sure = _CHANGE | {"p_value": 0.0001, "significant": True}
    assert comparison(sure) == "+4.5 points; prompts gained 3, lost 1 (p < 0.001)"


def test_a_change_of_the_judge_is_told():
    assert since(None, "holdout") == ""
    change = {"same_judge": True, "holdout": _CHANGE}
    assert since(change, "holdout") == comparison(_CHANGE)
    assert "another judge" in since(change | {"same_judge": False}, "holdout")


def test_the_share_of_the_ceiling_is_told_with_its_interval():
    value = {"percent": 92.5, "low_percent": 84.0, "high_percent": 101.2}
    assert relative(value) == "92.5 % of its coverage (84.0 % to 101.2 %)"
    assert relative(value | {"percent": None}) == ""


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
    value = {
        "rows": 100,
        "agree_percent": 90.0,
        "kappa": 0.8,
        "kappa_low": 0.68,
        "kappa_high": 0.92,
    }
    assert agreement(value | changes) == text


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
    ],
)
def test_numbers_are_written_for_people(function, value, text):
    assert function(value) == text
