import dataclasses

import pytest

from pipeline.config import RoundsSettings
from pipeline.rounds import (
    LoopResult,
    RoundResult,
    StopReason,
    run_rounds,
    take_last_look,
)

THRESHOLD = 80.0


class PlannedRounds:
    """A `submit` whose coverage rates are planned; it remembers how it was called."""

    def __init__(self, *rates, cost_usd=0.0):
        self.rates = rates
        self.cost_usd = cost_usd
        self.calls = []

    def __call__(self, round, history_uri, report_uri, warm_start_uri):
        self.calls.append((round, history_uri, report_uri, warm_start_uri))
        rate = self.rates[round - 1]
        return RoundResult(
            round=round,
            run_id=f"run-{round}",
            coverage_rate=rate,
            blessed=rate >= THRESHOLD,
            synthetic_uri=f"synthetic-{round}",
            report_uri=f"report-{round}",
            model_uri=f"model-{round}",
            pushed_uri=f"pushed-{round}",
            cost_usd=self.cost_usd,
        )


@pytest.mark.parametrize(
    ("rates", "settings", "stop_reason", "n_rounds", "best"),
    [
        pytest.param((40, 90, 95), {}, StopReason.THRESHOLD_MET, 2, 2, id="threshold met"),
        pytest.param((85,), {}, StopReason.THRESHOLD_MET, 1, 1, id="met at once"),
        pytest.param((40, 50, 60), {"max_rounds": 3}, StopReason.MAX_ROUNDS, 3, 3, id="max rounds"),
        pytest.param((50, 40, 45, 60), {}, StopReason.NO_PROGRESS, 3, 1, id="no progress"),
        pytest.param((50, 50, 50), {}, StopReason.NO_PROGRESS, 3, 1, id="standing still"),
        pytest.param(
            (10, 50, 40, 60, 85), {}, StopReason.THRESHOLD_MET, 5, 5, id="a dip within patience"
        ),
    ],
)
def test_the_loop_stops_for_the_right_reason_and_keeps_the_best_round(
    rates, settings, stop_reason, n_rounds, best
):
    loop = run_rounds(PlannedRounds(*rates), RoundsSettings(**settings))
    assert loop.stop_reason == stop_reason
    assert len(loop.rounds) == n_rounds
    assert loop.best.round == best


def test_a_round_receives_the_dataset_and_the_report_of_the_round_before():
    submit = PlannedRounds(10, 20, 90)
    run_rounds(submit, RoundsSettings())
    assert submit.calls == [
        (1, "", "", ""),
        (2, "synthetic-1", "report-1", ""),
        (3, "synthetic-2", "report-2", ""),
    ]


def test_a_warm_started_round_receives_the_best_model_so_far_and_not_the_last():
    submit = PlannedRounds(30, 20, 40, 90)
    run_rounds(submit, RoundsSettings(warm_start="best"))
    assert [call[3] for call in submit.calls] == ["", "model-1", "model-1", "model-3"]


def test_no_round_is_started_once_the_budget_is_spent():
    loop = run_rounds(PlannedRounds(10, 20, 30, cost_usd=3.0), RoundsSettings(budget_usd=5))
    assert loop.stop_reason == StopReason.BUDGET_SPENT
    assert len(loop.rounds) == 2


def test_rounds_without_a_known_price_do_not_spend_the_budget():
    submit = PlannedRounds(10, 20, 30, cost_usd=None)
    loop = run_rounds(submit, RoundsSettings(budget_usd=1, max_rounds=3))
    assert loop.stop_reason == StopReason.MAX_ROUNDS


def test_finished_rounds_are_not_run_again():
    first = run_rounds(PlannedRounds(10, 20), RoundsSettings(max_rounds=2))
    submit = PlannedRounds(10, 20, 90)
    loop = run_rounds(submit, RoundsSettings(), finished=first.rounds)
    assert [call[0] for call in submit.calls] == [3]
    assert [r.round for r in loop.rounds] == [1, 2, 3]


def test_a_loop_that_had_ended_starts_no_round():
    first = run_rounds(PlannedRounds(90), RoundsSettings())
    submit = PlannedRounds()
    loop = run_rounds(submit, RoundsSettings(), finished=first.rounds)
    assert submit.calls == []
    assert loop == first


def test_the_listener_sees_every_round_and_the_last_one_with_the_reason():
    seen: list[LoopResult] = []
    run_rounds(PlannedRounds(10, 90), RoundsSettings(), on_round=seen.append)
    assert [(len(s.rounds), s.stop_reason) for s in seen] == [
        (1, None),
        (2, StopReason.THRESHOLD_MET),
    ]


def test_a_blessed_round_is_kept_even_when_another_rate_is_higher():
    blessed = PlannedRounds(90)(1, "", "", "")
    higher = dataclasses.replace(blessed, round=2, coverage_rate=95.0, blessed=False)
    assert LoopResult((blessed, higher), None).best is blessed


@pytest.mark.parametrize("warm_start", ["scratch", "best"])
def test_only_the_kept_round_is_judged_on_the_test_split_and_only_after_the_loop(warm_start):
    submit, settings = PlannedRounds(40, 60, 50, 55), RoundsSettings(warm_start=warm_start)
    loop = run_rounds(submit, settings)
    sealed = [dataclasses.replace(r, sealed_prompts=9) for r in loop.rounds]
    loop = dataclasses.replace(loop, rounds=tuple(sealed))
    looks = []

    def look(*arguments):
        looks.append(arguments)
        return dataclasses.replace(submit(*arguments[:4]), report_uri="report-with-test")

    looked = take_last_look(loop, look, settings)
    start = "model-1" if warm_start == "best" else ""
    assert looks == [(2, "synthetic-1", "report-1", start, 4)], "four rounds saw the holdout"
    assert looked.best.report_uri == "report-with-test"
    assert [r.sealed_prompts for r in looked.rounds] == [9, 0, 9, 9]
    assert take_last_look(looked, look, settings) is looked
    assert len(looks) == 1
