"""Geometry of the chart "coverage rate by round"; drawing it is left to the template."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

WIDTH, HEIGHT = 560, 300  # units of the SVG; it scales with the page
LEFT, RIGHT, TOP, BOTTOM = 68, 16, 14, 46  # margins for the axes
_TICKS = (0, 20, 40, 60, 80, 100)  # percent
_SIDE_STEP = 9  # keeps the interval bars of two series apart


@dataclasses.dataclass(frozen=True)
class Point:
    """A rate with its interval, in units of the SVG."""

    x: float
    y: float
    low: float
    high: float
    text: str


@dataclasses.dataclass(frozen=True)
class Series:
    """One line of the chart: a split's rate in every round."""

    kind: str
    label: str
    points: tuple[Point, ...]

    @property
    def path(self) -> str:
        """The `points` attribute of the SVG polyline."""
        return " ".join(f"{p.x:.1f},{p.y:.1f}" for p in self.points)


@dataclasses.dataclass(frozen=True)
class Level:
    """A horizontal line: the threshold, or a model that does not change from round to round."""

    kind: str
    label: str
    percent: float

    @property
    def y(self) -> float:
        """Its height."""
        return height_of(self.percent)


@dataclasses.dataclass(frozen=True)
class Chart:
    """All that is drawn."""

    series: tuple[Series, ...]
    levels: tuple[Level, ...]
    rounds: tuple[tuple[int, float], ...]
    ticks: tuple[tuple[int, float], ...]
    description: str


def height_of(percent: float) -> float:
    """The y coordinate of a percentage."""
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - percent / 100)


def make_chart(
    rounds: Sequence[Mapping[str, Any]], best: Mapping[str, Any], names: Mapping[str, str]
) -> Chart:
    """Place the tuned model's rates on the splits, the baselines and the threshold.

    Args:
        rounds: The summary's rounds.
        best: The one whose baselines are drawn.
        names: What the models are called.
    """
    gate = best["gate"]
    splits: tuple[str, ...] = ("holdout", "seed")
    if gate["split"] not in splits:
        splits = (gate["split"], *splits)
    xs = {entry["round"]: _x(index, len(rounds)) for index, entry in enumerate(rounds)}
    shown = [s for s in splits if any(_rate(entry, "tuned", s)["total"] for entry in rounds)]
    levels = [Level("threshold", "Threshold", gate["threshold_percent"])]
    levels += [
        Level(model, f"{names[model]}, {gate['split']}", rates[gate["split"]]["rate_percent"])
        for model, rates in best["rates"].items()
        if model != "tuned"
    ]
    return Chart(
        series=tuple(_series(split, place, rounds, xs) for place, split in enumerate(shown)),
        levels=tuple(levels),
        rounds=tuple(xs.items()),
        ticks=tuple((tick, height_of(tick)) for tick in _TICKS),
        description=_describe(rounds, gate, levels),
    )


def _series(
    split: str, place: int, rounds: Sequence[Mapping[str, Any]], xs: Mapping[int, float]
) -> Series:
    points = []
    for entry in rounds:
        rate = _rate(entry, "tuned", split)
        points.append(
            Point(
                x=xs[entry["round"]] + place * _SIDE_STEP,
                y=height_of(rate["rate_percent"]),
                low=height_of(rate["low_percent"]),
                high=height_of(rate["high_percent"]),
                text=f"Round {entry['round']}, {split}: {rate['rate_percent']:.1f} % "
                f"({rate['low_percent']:.1f} to {rate['high_percent']:.1f} %)",
            )
        )
    return Series(split, f"Tuned model, {split}", tuple(points))


def _rate(entry: Mapping[str, Any], model: str, split: str) -> Mapping[str, Any]:
    rate: Mapping[str, Any] = entry["rates"][model][split]
    return rate


def _x(index: int, count: int) -> float:
    width = WIDTH - LEFT - RIGHT
    return LEFT + width * (index + 0.5) / count


def _describe(
    rounds: Sequence[Mapping[str, Any]], gate: Mapping[str, Any], levels: Sequence[Level]
) -> str:
    split = gate["split"]
    by_round = ", ".join(
        f"round {entry['round']} {_rate(entry, 'tuned', split)['rate_percent']:.1f} %"
        for entry in rounds
    )
    others = ", ".join(f"{level.label.lower()} {level.percent:.1f} %" for level in levels)
    return f"Tuned model on {split}: {by_round}. For comparison: {others}."
