"""What a drill counts as lost, as half an answer, and as a switch."""

from serving.drill.cell import Tally
from serving.drill.clients import Reply

MODEL = "task/round-1@abc"


def test_replies_are_counted_by_who_gave_them():
    tally = Tally(MODEL)
    tally.add(Reply("a", True, "gemini-x"))
    tally.add(Reply("b", True, MODEL))
    assert (tally.requests, tally.by_service, tally.by_model, tally.lost) == (2, 1, 1, 0)


def test_an_answer_that_breaks_off_is_lost_and_half():
    tally = Tally(MODEL)
    tally.add(Reply("half of", False, "gemini-x"))
    assert (tally.lost, tally.half, tally.by_service) == (1, 1, 0)


def test_an_error_is_lost_and_told():
    tally = Tally(MODEL)
    tally.add(Reply("", False, "", "ServerError: 503"))
    assert (tally.lost, tally.half, tally.errors) == (1, 0, ["ServerError: 503"])


def test_cells_add_up():
    first, second = Tally(MODEL), Tally(MODEL)
    first.add(Reply("a", True, MODEL))
    second.add(Reply("", False, "", "gone"))
    first.merge(second)
    assert (first.requests, first.by_model, first.lost, first.errors) == (2, 1, 1, ["gone"])
