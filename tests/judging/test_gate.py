import re

import pytest

from core.errors import UserError
from core.reports.rates import Rates
from judging.comparison import relative_rate
from judging.gate import decide
from judging.rates import rate
from judging.settings import GateSettings


def _rates(verdict_row, covered, total, unscored=0):
    rows = [verdict_row(str(n), n < covered, scored=n < total - unscored) for n in range(total)]
    return Rates(overall=rate(rows), holdout=rate(rows), seed=rate([]), tags={})


@pytest.mark.parametrize(
    ("covered", "statistic", "threshold", "passed"),
    [
        pytest.param(80, "point", 80, True, id="just reached"),
        pytest.param(79, "point", 80, False, id="just missed"),
        pytest.param(80, "lower", 80, False, id="the lower bound is stricter"),
        pytest.param(90, "lower", 80, True, id="lower bound reached"),
        pytest.param(0, "point", 0, True, id="a threshold of 0 lets all pass"),
    ],
)
def test_the_gate_compares_its_statistic_with_its_threshold(
    verdict_row, covered, statistic, threshold, passed
):
    settings = GateSettings(statistic=statistic, threshold_percent=threshold)
    decision = decide(_rates(verdict_row, covered, 100), settings)
    assert decision.passed is passed
    assert f"{threshold} %" in decision.reasons[0]
    assert f"{covered} of 100" in decision.reasons[0]
    assert decision.rate.rate_percent == covered


def test_a_rate_is_not_rounded_up_into_passing(verdict_row):
    settings = GateSettings(threshold_percent=66.67)
    decision = decide(_rates(verdict_row, 2, 3), settings)
    assert decision.value_percent == 66.67
    assert not decision.passed


@pytest.mark.parametrize(
    ("covered", "total", "told"),
    [
        pytest.param(2, 3, ": 66.7 % (2 of 3 covered, 95 % interval 20.8 to 93.8 %)", id="usual"),
        pytest.param(1799, 2000, ": 89.95 % (1799 of 2000", id="90.0 % is not below 90 %"),
    ],
)
def test_the_reason_has_one_decimal_unless_it_would_contradict_the_decision(
    verdict_row, covered, total, told
):
    settings = GateSettings(threshold_percent=90)
    reason = decide(_rates(verdict_row, covered, total), settings).reasons[0]
    assert reason.startswith("The coverage rate on holdout is below 90 %")
    assert told in reason


def test_unscored_rows_are_among_the_reasons(verdict_row):
    decision = decide(_rates(verdict_row, 5, 10, unscored=2), GateSettings())
    assert "2 of 10 could not be scored" in decision.reasons[1]


def test_a_gate_on_an_empty_split_is_refused(verdict_row):
    with pytest.raises(UserError, match="'seed'"):
        decide(_rates(verdict_row, 1, 2), GateSettings(split="seed"))


@pytest.mark.parametrize(
    ("covered", "of_service", "statistic", "passed"),
    [
        pytest.param(72, 80, "point", True, id="90 % of the service's own, to the row"),
        pytest.param(71, 80, "point", False, id="just missed"),
        pytest.param(90, 100, "point", True, id="a service without fault"),
        pytest.param(72, 80, "lower", False, id="the ratio's lower bound is stricter"),
        pytest.param(100, 80, "lower", True, id="better than the service"),
        pytest.param(50, 0, "point", False, id="a service that covers nothing is no measure"),
    ],
)
def test_a_threshold_may_be_a_share_of_what_the_service_covers(
    verdict_row, covered, of_service, statistic, passed
):
    settings = GateSettings(threshold_percent=90, relative_to_service=True, statistic=statistic)
    own = [verdict_row(str(n), n < covered) for n in range(100)]
    service = [verdict_row(str(n), n < of_service) for n in range(100)]
    decision = decide(
        _rates(verdict_row, covered, 100),
        settings,
        _rates(verdict_row, of_service, 100),
        relative_rate(own, service),
    )
    assert decision.passed is passed
    assert decision.threshold_percent == 0.9 * of_service
    assert decision.relative_threshold_percent == 90
    assert (decision.value_percent >= decision.threshold_percent) is (passed or of_service == 0)
    assert "service LLM" in decision.reasons[0]
    told = re.search(r"own: it is ([\d.]+) % of it", decision.reasons[0])
    assert (told and float(told[1]) >= 90) is (passed if of_service else None)
