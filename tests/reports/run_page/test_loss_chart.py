import pytest

from reports.run_page import loss_chart
from reports.run_page.loss_chart import make_loss_charts
from tests.records import training_record


def charts(*trainings):
    return make_loss_charts(dict(enumerate(trainings, 1)))


def training(losses, eval_losses=(), best_step=0):
    return training_record(losses=losses, eval_losses=eval_losses, best_step=best_step)


def height(loss, top):
    inner = loss_chart.HEIGHT - loss_chart.TOP - loss_chart.BOTTOM
    return loss_chart.TOP + inner * (1 - loss / top)


def test_the_curves_are_the_recorded_losses():
    (chart,) = charts(training([2.0, 1.0, 0.5], [(0, 1.8), (3, 0.4)], 3))
    width = loss_chart.WIDTH - loss_chart.LEFT - loss_chart.RIGHT
    xs = [loss_chart.LEFT + width * step / 3 for step in (1, 2, 3)]
    assert [x for x, _ in chart.train] == pytest.approx(xs)
    assert [y for _, y in chart.train] == pytest.approx([height(v, 2) for v in (2.0, 1.0, 0.5)])
    assert [(x, y) for x, y, _ in chart.eval] == [
        (loss_chart.LEFT, pytest.approx(height(1.8, 2))),
        (pytest.approx(xs[2]), pytest.approx(height(0.4, 2))),
    ]
    assert chart.eval[0][2] == "Step 0: 1.8"
    assert chart.kept == (pytest.approx(xs[2]), "Kept: the weights of step 3")
    assert [step for step, _ in chart.xs] == [0, 1, 2, 3]
    assert [text for text, _ in chart.ys] == ["0", "0.5", "1", "1.5", "2"]
    assert chart.description == (
        "Training loss from 2 to 0.5 in 3 steps. Eval loss from 1.8 to 0.4. "
        "The weights of step 3 were kept."
    )


def test_rounds_share_the_scale_of_losses():
    first, second = charts(training([4.0, 1.0]), training([1.0, 0.1]))
    assert first.ys == second.ys
    assert first.train[1][1] == second.train[0][1]


def test_a_long_training_is_drawn_by_means_of_equal_stretches():
    losses = [float(step % 2) for step in range(4800)]
    (chart,) = charts(training(losses))
    assert len(chart.train) == 240
    assert {round(y, 3) for _, y in chart.train} == {round(height(0.5, 1), 3)}
    assert all(loss_chart.LEFT <= x <= loss_chart.WIDTH for x, _ in chart.train)


@pytest.mark.parametrize("losses", [[1.0], [0.0, 0.0], [0.3] * 7], ids=["one", "zero", "flat"])
def test_any_losses_can_be_drawn(losses):
    (chart,) = charts(training(losses))
    inside = [loss_chart.TOP <= y <= loss_chart.HEIGHT - loss_chart.BOTTOM for _, y in chart.train]
    assert all(inside)
    assert chart.eval == ()
    assert chart.kept is None


def test_a_round_without_recorded_losses_has_no_chart():
    assert [chart.round for chart in charts(training([1.0]), training([2.0]))] == [1, 2]
    assert [chart.round for chart in charts(training([]), training([2.0]))] == [2]
