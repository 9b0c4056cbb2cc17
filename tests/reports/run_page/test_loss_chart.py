import pytest

from reports.charts import WIDTHS, svg
from reports.run_page.loss_chart import draw_losses, loss_spec
from tests.records import training_record

WIDE, NARROW = WIDTHS.values()
TRAIN, EVAL, KEPT = "training loss", "eval loss", "step whose weights were kept"


def training(losses, eval_losses=(), best_step=0):
    return training_record(losses=losses, eval_losses=eval_losses, best_step=best_step)


def spec(*trainings, width=WIDE):
    return loss_spec(dict(enumerate(trainings, 1)), width)


def points(made, kind, round=1):
    rows = [
        row
        for row in made["data"]["values"]
        if (row["round"], row["kind"]) == (f"Round {round}", kind)
    ]
    return [(row["step"], row.get("loss"), row["joined"]) for row in rows]


def test_the_curves_are_the_recorded_losses():
    made = spec(training([2.0, 1.0, 0.5], [(0, 1.8), (3, 0.4)], 3))
    assert points(made, TRAIN) == [(1, 2.0, True), (2, 1.0, True), (3, 0.5, True)]
    assert points(made, EVAL) == [(0, 1.8, False), (3, 0.4, False)], "two points are no line"
    assert points(made, KEPT) == [(3, None, False)]
    shown = draw_losses({1: training([2.0, 1.0, 0.5], [(0, 1.8), (3, 0.4)], 3)})
    assert (
        "Round 1: training loss from 2 to 0.5 in 3 steps. Eval loss from 1.8 to 0.4. "
        "The weights of step 3 were kept."
    ) in shown


def test_rounds_share_the_scale_of_losses_and_not_that_of_steps():
    made = spec(training([4.0, 1.0]), training([1.0, 0.1]))
    assert made["resolve"]["scale"] == {"x": "independent"}
    assert points(made, TRAIN, round=2) == [(1, 1.0, False), (2, 0.1, False)]


def test_a_long_training_is_drawn_by_means_of_equal_stretches():
    losses = [float(step % 2) for step in range(4800)]
    found = points(spec(training(losses)), TRAIN)
    assert len(found) == 480
    assert {loss for _, loss, _ in found} == {0.5}
    assert all(1 <= step <= 4800 for step, _, _ in found)


@pytest.mark.parametrize("losses", [[1.0], [0.0, 0.0], [0.3] * 7], ids=["one", "zero", "flat"])
def test_any_losses_can_be_drawn(losses):
    made = spec(training(losses))
    drawing = svg(made)
    assert drawing.count("NaN") == 0
    assert "Round 1" in drawing
    assert points(made, EVAL) == points(made, KEPT) == []


def test_a_round_without_recorded_losses_has_no_panel():
    shown = draw_losses({1: training([]), 2: training([2.0])})
    assert "Round 2" in shown
    assert "Round 1" not in shown
    assert draw_losses({1: training([])}) is None


@pytest.mark.parametrize(("width", "columns"), [(WIDE, 4), (NARROW, 2)], ids=["wide", "narrow"])
def test_twenty_rounds_are_panels_that_fit_the_width(width, columns):
    made = spec(*(training([1.0, 0.5, 0.2]) for _ in range(20)), width=width)
    assert made["columns"] == columns
    drawn = float(svg(made).partition('width="')[2].partition('"')[0])
    assert 0.9 * width <= drawn <= 1.1 * width
