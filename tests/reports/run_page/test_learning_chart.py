"""The chart "rate by training rows": equal rates are both seen."""

import pytest

from core.reports.learning import LearningCurve, LearningPoint
from reports.charts import svg
from reports.run_page.learning_chart import learning_spec
from tests.records import rate


@pytest.fixture
def curve():
    """Makes a curve of so many rounds, in which the strict rate is the gate's."""

    def make(rounds):
        points = tuple(
            LearningPoint(round=number, rows=500 * number, rate=of_both, strict=of_both)
            for number in range(1, rounds + 1)
            for of_both in [rate(10 * number, 60, 10.0 * number, 30.0 * number)]
        )
        return LearningCurve(
            split="holdout", threshold_percent=80.0, points=points, conclusion="None yet."
        )

    return make


def _of_kind(specification, kind):
    wanted = [{"filter": {"field": "kind", "equal": kind}}]
    layers = (layer for layer in specification["layer"] if layer.get("transform") == wanted)
    return {layer["mark"]["type"]: layer["mark"] for layer in layers}


@pytest.mark.parametrize(("rounds", "marks"), [(2, 2), (3, 3)])
def test_strict_marks_are_drawn_first_and_larger_than_the_gates(curve, rounds, marks):
    specification = learning_spec(curve(rounds), 340)
    strict, gate = (_of_kind(specification, kind) for kind in ("strict", "gate"))
    assert list(strict) == list(gate)
    assert len(gate) == marks
    assert not strict["point"]["filled"]
    assert gate["point"]["filled"]
    assert strict["point"]["size"] > 2 * gate["point"]["size"]
    assert strict["rule"]["strokeWidth"] > 2 * gate["rule"]["strokeWidth"]
    kinds = [layer["transform"][0]["filter"]["equal"] for layer in specification["layer"][1:]]
    assert kinds == ["strict"] * marks + ["gate"] * marks


def test_both_kinds_of_points_are_in_the_drawing(curve):
    drawing = svg(learning_spec(curve(2), 340))
    assert drawing.count('stroke="var(--teal)" stroke-width="2"') == 2
    assert drawing.count('fill="var(--blue)"') == 2
