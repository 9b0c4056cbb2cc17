"""What remains of a run: the plan of each round, at the pace that was measured."""

from pipeline.progress.checklist import Checklist
from pipeline.progress.display import Step

NAMES = ("BaseResponseGen", "Trainer")
PLANNED = [
    {"BaseResponseGen": 10, "Trainer": 100},
    {"BaseResponseGen": 0, "Trainer": 200},
    {"BaseResponseGen": 0, "Trainer": 300},
]


def training(left: float | None = None) -> Checklist:
    """The Trainer of round 1 has run since second 20."""
    checklist = Checklist().expecting(PLANNED).next_round(NAMES, 1).start("BaseResponseGen", 0)
    checklist = checklist.finish("BaseResponseGen", 20).start("Trainer", 20)
    return checklist if left is None else checklist.with_step(Step("", 1, 9, seconds_left=left))


def test_later_rounds_are_expected_as_planned():
    assert [training().seconds_of(number, 20) for number in (2, 3)] == [200, 300]
    assert training().rest(20, 2) == (
        "About 1 min 40 s left in this round, about 10 min 00 s for all 3 rounds"
    )


def test_what_a_running_component_says_counts_for_later_rounds_at_once():
    running = training(left=150)
    assert [running.seconds_of(number, 70) for number in (2, 3)] == [400, 600]


def test_the_end_of_a_component_changes_no_expectation():
    before, after = training(left=0), training().finish("Trainer", 220)
    assert [before.seconds_of(number, 220) for number in (2, 3)] == [400, 600]
    assert [after.seconds_of(number, 220) for number in (2, 3)] == [400, 600]
    second = after.next_round(NAMES, 2)
    assert second.seconds_left(220) == 400
    assert second.seconds_of(3, 220) == 600


def test_a_round_that_took_longer_than_planned_is_taken_for_the_next_one():
    second = training().finish("Trainer", 120).next_round(NAMES, 2).start("BaseResponseGen", 120)
    second = second.cached().start("Trainer", 120).finish("Trainer", 620)
    assert second.seconds_of(3, 620) == 750
    assert second.next_round(NAMES, 3).seconds_left(620) == 750


def test_without_a_plan_a_round_takes_what_the_one_before_took():
    first = Checklist().next_round(NAMES, 1)
    assert first.rest(0, 2) == ""
    for number, name in enumerate(NAMES):
        first = first.start(name, 10 * number).finish(name, 10 * number + 10)
    second = first.next_round(NAMES, 2).start("BaseResponseGen", 20).cached()
    assert second.seconds_left(20) == 10
    assert second.seconds_of(3, 20) == 10


def test_the_last_round_says_nothing_of_others():
    last = training().finish("Trainer", 120).next_round(NAMES, 3)
    assert last.rest(120, 0) == "About 5 min 00 s left in this round"
